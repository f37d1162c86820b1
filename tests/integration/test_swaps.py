"""A new version promoted every two seconds under streaming clients, on the real vLLM."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from registry.artifacts import ProbeRow
from tests.benchmarks.serving.figures import percentile
from tests.integration.markers import Marker, MarkerForge
from tests.serving import CHAT, Serving, serving
from tests.vllm_server import VllmServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CLIENTS = 16
SWAPS = 30
PAUSE_SECONDS = 2.0
TOKENS = 24
NAME = "swapped"
logger = logging.getLogger(__name__)
_ROW = ProbeRow(
    token_ids=[5, 6, 7, 8, 9, 10], target_start=2, base_logprobs=[], adapter_logprobs=[]
)


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)


class _Event(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)


@dataclass
class Tally:
    """What the clients saw."""

    answers: Counter[str] = field(default_factory=Counter)
    """Whole answers, by the version named in the header."""
    faults: list[str] = field(default_factory=list)
    """What went wrong."""
    pauses: list[float] = field(default_factory=list)
    """Times between two pieces of one answer, in seconds."""

    def pause(self, percent: float) -> float:
        """Return a percentile of the pauses, in seconds."""
        return percentile(self.pauses, percent)


def version_of(marker: Marker) -> str:
    """Return the version's name of a marker."""
    return f"ft:tiny-base:default:swap:{marker.token_id:08x}"


async def publish(running: Serving, forge: MarkerForge, marker: Marker) -> None:
    """Publish the marker's version, and have it loaded and examined."""
    name = version_of(marker)
    forge.write(running.settings.work_dir / name.replace(":", "-"), marker)
    await running.services.reconciler.ensure(await running.publish(name, probe=_ROW))


async def promote(running: Serving, name: str) -> None:
    """Make a version the stable one, as an operator does."""
    path = f"/v1/deployments/{NAME}"
    async with running.client.patch(path, json={"candidate": name}) as answer:
        assert answer.status == 200, await answer.text()
    body = {"override_reason": "a test of swaps"}
    async with running.client.post(f"{path}/promote", json=body) as answer:
        assert answer.status == 200, await answer.text()


async def ask(running: Serving, words: dict[str, str], seen: Tally) -> None:
    """Stream one answer and check that it is the named version's, and nobody else's."""
    body = {
        "model": NAME,
        "messages": [{"role": "user", "content": "Write one word."}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
    }
    pieces: list[str] = []
    last, ended = time.perf_counter(), False
    async with running.client.post(CHAT, json=body) as response:
        named = response.headers.get("x-graftline-model", "")
        if response.status != 200:
            seen.faults.append(f"{response.status} {await response.text()}")
            return
        async for line in response.content:
            now = time.perf_counter()
            if pieces:
                seen.pauses.append(now - last)
            last = now
            data = line.strip().removeprefix(b"data: ")
            ended = ended or data == b"[DONE]"
            if data.startswith(b"{"):
                event = msgspec.json.decode(data, type=_Event)
                pieces += [choice.delta.content or "" for choice in event.choices]
    text = "".join(pieces)
    if not ended or not text or set(text) != set(words[named]):
        seen.faults.append(f"{named}: {text!r}, ended: {ended}")
    seen.answers[named] += 1


async def clients(
    running: Serving, words: dict[str, str], seen: Tally, until: asyncio.Event
) -> None:
    """Ask again and again from as many clients, until told to stop."""

    async def client() -> None:
        while not until.is_set():
            await ask(running, words, seen)

    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(client())


async def swap(running: Serving, forge: MarkerForge, markers: Sequence[Marker]) -> None:
    """Publish and promote one version after the other, one every `PAUSE_SECONDS`."""
    for marker in markers:
        began = time.monotonic()
        await publish(running, forge, marker)
        await promote(running, version_of(marker))
        await asyncio.sleep(PAUSE_SECONDS - min(PAUSE_SECONDS, time.monotonic() - began))


async def test_nobody_notices_a_swap(real_vllm: VllmServer, tmp_path: Path) -> None:
    """No request fails, and no answer comes from another version than the one it names."""
    forge = MarkerForge()
    markers = forge.markers(SWAPS + 1)
    words = {version_of(marker): marker.text for marker in markers}
    seen, over = Tally(), asyncio.Event()
    async with serving(
        tmp_path, engine_url=real_vllm.url, request_deadline_seconds=120.0
    ) as running:
        await publish(running, forge, markers[0])
        await running.deploy(NAME, version_of(markers[0]))
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(clients(running, words, seen, over))
            await swap(running, forge, markers[1:])
            over.set()
            await asking
    assert not seen.faults, seen.faults[:5]
    assert len(seen.answers) > SWAPS // 2
    logger.info(
        "%d answers of %d versions, worst pause %.3f s",
        sum(seen.answers.values()),
        len(seen.answers),
        seen.pause(100),
    )
