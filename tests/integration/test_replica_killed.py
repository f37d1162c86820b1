"""kill -9 of one of two real vLLM servers under load: nobody who had no answer yet notices."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.markers import Marker, MarkerForge
from tests.integration.test_swaps import publish, version_of
from tests.serving import CHAT, Serving, serving
from tests.vllm_server import VllmServer

pytestmark = [pytest.mark.integration, pytest.mark.slow]
CLIENTS = 8
ANSWERS = 60
"""Answers before the kill, and again after it."""
TOKENS = 24
BACK_SECONDS = 120.0


@pytest.fixture
async def second_vllm(tmp_path: Path) -> AsyncIterator[VllmServer]:
    """Run another vLLM server, for this test to kill."""
    server = VllmServer(tmp_path / "second.log")
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.kill)


@dataclass
class Seen:
    """What the clients saw."""

    whole: int = 0
    """Answers that were whole."""
    broken: int = 0
    """Streams that had begun and ended with an event that says so."""
    faults: list[str] = field(default_factory=list)
    """What may not be."""


async def ask(running: Serving, marker: Marker, seen: Seen, who: int, *, stream: bool) -> None:
    """Ask the marker's version, each client in words of its own, and judge what comes."""
    body = {
        "model": version_of(marker),
        "messages": [{"role": "user", "content": f"{who}. Write one word."}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "ignore_eos": True,
        "stream": stream,
    }
    async with running.client.post(CHAT, json=body) as response:
        text = await response.text()
    if response.status != 200:
        seen.faults.append(f"{response.status} {text}")
    elif not stream:
        said = json.loads(text)["choices"][0]["message"]["content"]
        seen.whole += 1
        if set(said) != {marker.text}:
            seen.faults.append(said)
    elif text.endswith("data: [DONE]\n\n"):
        seen.whole += 1
    elif '"error"' in text.rpartition("data: ")[2]:
        seen.broken += 1
    else:
        seen.faults.append(text[-200:])


async def clients(running: Serving, marker: Marker, seen: Seen, until: int) -> None:
    """Ask from several clients, half of them streaming, until so many answers were whole."""

    async def client(number: int) -> None:
        while seen.whole < until:
            await ask(running, marker, seen, number, stream=number % 2 == 0)

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(number))


async def test_a_killed_replica_costs_no_request(
    real_vllm: VllmServer, second_vllm: VllmServer, tmp_path: Path
) -> None:
    """Requests go to the other one; the killed one gets its adapter back before its traffic."""
    forge, seen = MarkerForge(), Seen()
    (marker,) = forge.markers(1)
    urls = f"{real_vllm.url},{second_vllm.url}"
    async with serving(tmp_path, engine_url=urls) as running:
        await publish(running, forge, marker)
        fleet = running.services.fleet

        async def on_both() -> None:
            async with asyncio.timeout(BACK_SECONDS):
                while len(fleet.holders(version_of(marker))) < 2:
                    await running.passed()

        await on_both()
        await clients(running, marker, seen, ANSWERS)
        async with asyncio.TaskGroup() as group:
            group.create_task(clients(running, marker, seen, 2 * ANSWERS))
            group.create_task(asyncio.to_thread(second_vllm.kill))
        assert len(fleet.holders(version_of(marker))) == 1
        await asyncio.to_thread(second_vllm.start)
        await on_both()
        await clients(running, marker, seen, 3 * ANSWERS)
    assert not seen.faults, seen.faults[:3]
    assert seen.broken <= CLIENTS // 2
