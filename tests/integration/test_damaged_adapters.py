"""Adapters that are damaged, idle, of another base or too large, on the real vLLM.

Each is refused with a reason; the engine and everybody else notice nothing.
"""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from safetensors.torch import load_file, save_file

from registry.artifacts import MANIFEST
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from tests import adapter_folders
from tests.integration.markers import Marker, MarkerForge
from tests.integration.test_swaps import _ROW as ROW
from tests.integration.test_swaps import version_of
from tests.serving import BASE, Serving, serving
from tests.vllm_server import VllmServer, write_adapter

pytestmark = [pytest.mark.integration, pytest.mark.slow]
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
HEALTHY = 3
ROUNDS = 3
TOKENS = 6
PATIENCE_SECONDS = 120.0
Damage = Callable[[Path], object]


def truncate(folder: Path) -> None:
    """Cut the weights in place, as a full disk or a broken copy does."""
    os.truncate(folder / WEIGHTS, 0)


def halve(folder: Path) -> None:
    """Cut the weights to their half, in place."""
    os.truncate(folder / WEIGHTS, (folder / WEIGHTS).stat().st_size // 2)


def flip_in(name: str, place: float) -> Damage:
    """Return what flips the highest bit of one byte of a file, in place."""

    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[int(len(content) * place)] ^= 0x80
        with (folder / name).open("r+b") as stream:
            stream.write(content)

    return flip


DAMAGES: dict[str, Damage] = {
    "deleted folder": shutil.rmtree,
    "deleted weights": lambda folder: (folder / WEIGHTS).unlink(),
    "deleted manifest": lambda folder: (folder / MANIFEST).unlink(),
    "cut to nothing": truncate,
    "cut to half": halve,
    "a bit of the weights": flip_in(WEIGHTS, 0.7),
    "a bit of the configuration": flip_in(CONFIG, 0.5),
    "a bit of the manifest": flip_in(MANIFEST, 0.2),
}


class Neighbours:
    """Healthy versions and the base model, asked all the while; each must say its own."""

    def __init__(self, running: Serving, words: dict[str, str]) -> None:
        self._running = running
        self._words = words
        self.answers = 0
        self.faults: list[str] = []

    async def ask_on(self) -> None:
        """Ask until cancelled."""
        while True:
            for name, word in self._words.items():
                self.faults += (
                    [f"{name}: {said!r}"]
                    if (said := await say(self._running, name)) != word
                    else []
                )
                self.answers += 1


async def asked(running: Serving, name: str) -> tuple[int, Any]:
    """Ask a model; return the status and the body."""
    answer = await running.chat(name, max_tokens=TOKENS, temperature=0, ignore_eos=True)
    return answer.status, await answer.json()


async def say(running: Serving, name: str) -> str:
    """Return what a model says, or the error."""
    status, body = await asked(running, name)
    return str(body["choices"][0]["message"]["content"] if status == 200 else body)


async def adapter(running: Serving, name: str) -> Any:
    """Return a version as the API shows it."""
    async with running.client.get(f"/v1/adapters/{name}") as answer:
        assert answer.status == 200
        return await answer.json()


async def judged(running: Serving, name: str) -> AdapterVersion:
    """Return a version once it was found ready or rejected; a busy machine probes slowly."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            version = await running.services.store.adapters.get(name)
            if version.status is not AdapterStatus.PUBLISHED:
                return version
            await running.passed()


def written(running: Serving, forge: MarkerForge, marker: Marker, *, half: bool = False) -> str:
    """Write a marker's adapter where it is published from, in bfloat16 if told; return its name."""
    name = version_of(marker)
    folder = running.settings.work_dir / name.replace(":", "-")
    forge.write(folder, marker)
    if half:
        tensors = {key: one.bfloat16() for key, one in load_file(folder / WEIGHTS).items()}
        save_file(tensors, folder / WEIGHTS)
    return name


@asynccontextmanager
async def undisturbed(
    real_vllm: VllmServer, folder: Path, forge: MarkerForge, markers: list[Marker]
) -> AsyncIterator[Serving]:
    """Run the service with healthy versions that are asked all the while, on one vLLM process."""
    engine = psutil.Process(real_vllm.pid)
    async with serving(folder, engine_url=real_vllm.url) as running:
        words = {BASE: await say(running, BASE)}
        for marker in markers:
            name = written(running, forge, marker)
            await running.publish(name, probe=ROW)
            assert (await judged(running, name)).status is AdapterStatus.READY
            words[name] = marker.text * TOKENS
        neighbours = Neighbours(running, words)
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(neighbours.ask_on())
            yield running
            before = neighbours.answers
            while neighbours.answers < before + len(words):
                await running.passed()
            asking.cancel()
        assert not neighbours.faults, neighbours.faults[:3]
        for name in running.services.reconciler.loaded:
            await running.services.fleet.replicas[0].engine.unload(name)
    assert engine.is_running()
    assert psutil.Process(real_vllm.pid) == engine


async def test_files_damaged_before_they_are_loaded_never_reach_the_engine(
    real_vllm: VllmServer, tmp_path: Path
) -> None:
    """Each kind of damage is found by the manifest: rejected, 409 with the reason."""
    forge = MarkerForge()
    markers = forge.markers(HEALTHY + len(DAMAGES))
    async with undisturbed(real_vllm, tmp_path, forge, markers[:HEALTHY]) as running:
        for damage, marker in zip(DAMAGES.values(), markers[HEALTHY:], strict=True):
            name = written(running, forge, marker)
            await running.publish(name, probe=ROW, damage=damage)
            assert (await judged(running, name)).status is AdapterStatus.REJECTED
            shown = await adapter(running, name)
            assert "is corrupt" in shown["reason"], shown
            status, body = await asked(running, name)
            assert status == 409
            assert shown["reason"] in body["error"]["message"]
        assert running.metric("graftline_adapter_loads_total", outcome="corrupt") == len(DAMAGES)
        assert running.metric("graftline_adapter_loads_total", outcome="refused") == 0


async def test_files_damaged_after_they_were_loaded_harm_nobody(
    real_vllm: VllmServer, tmp_path: Path
) -> None:
    """What is loaded answers from memory; what must be loaded anew is refused, and tried again."""
    forge = MarkerForge()
    chosen = ["deleted folder", "cut to nothing", "cut to half", "a bit of the weights"]
    markers = forge.markers(HEALTHY + 2 * len(chosen))
    async with undisturbed(real_vllm, tmp_path, forge, markers[:HEALTHY]) as running:
        damaged: dict[str, str] = {}
        for index, marker in enumerate(markers[HEALTHY:]):
            name = written(running, forge, marker, half=index % 2 == 0)
            await running.publish(name, probe=ROW)
            assert (await judged(running, name)).status is AdapterStatus.READY
            damaged[name] = marker.text * TOKENS
        folders = {name: running.settings.adapters_dir / name.replace(":", "-") for name in damaged}
        kept = tmp_path / "kept"
        shutil.copytree(running.settings.adapters_dir, kept)
        for index, folder in enumerate(folders.values()):
            DAMAGES[chosen[index // 2]](folder)
        for _ in range(ROUNDS):  # more versions than slots: each is put back into one every time
            for name, word in damaged.items():
                assert await say(running, name) == word
        engine = running.services.fleet.replicas[0].engine
        for name in damaged:
            await engine.unload(name)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while (await adapter(running, name))["load_error"] is None:
                    await running.passed()
            shown = await adapter(running, name)
            assert (shown["status"], shown["loaded"]) == ("ready", False)
            assert "is corrupt" in shown["load_error"]
            status, body = await asked(running, name)
            assert status == 503
            assert "is corrupt" in body["error"]["message"]
        restored, folder = next(iter(folders.items()))
        shutil.copytree(kept / folder.name, folder)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await say(running, restored) != damaged[restored]:
                await running.passed()


async def test_what_cannot_be_served_is_refused_with_a_reason(
    real_vllm: VllmServer, tmp_path: Path
) -> None:
    """Zero effect, another base, too high a rank: by the import, or else by engine and probe."""
    forge = MarkerForge()
    markers = forge.markers(HEALTHY)
    async with undisturbed(real_vllm, tmp_path, forge, markers) as running:
        await check_imports(running, tmp_path / "imports")
        work = running.settings.work_dir
        names = {
            kind: f"ft:tiny-base:default:{kind}:00000001" for kind in ("idle", "high", "other")
        }
        write_adapter(work / names["idle"].replace(":", "-"), scale=0.0)
        write_adapter(work / names["high"].replace(":", "-"), rank=64)
        await running.publish(names["idle"], probe=ROW)
        await running.publish(names["high"], probe=ROW)
        await running.publish(names["other"], base_model="another-base")
        for kind, reason in (("idle", "changes nothing"), ("high", "rank")):
            version = await judged(running, names[kind])
            assert version.status is AdapterStatus.REJECTED
            assert reason in (version.reason or "")
        for kind, reason in (
            ("idle", "changes nothing"),
            ("high", "rank"),
            ("other", "belongs to the base model 'another-base'"),
        ):
            status, body = await asked(running, names[kind])
            assert status == 409
            assert reason in body["error"]["message"]


async def check_imports(running: Serving, folder: Path) -> None:
    """Import adapters that cannot be served, and read why not."""
    sound = adapter_folders.tensors()
    idle = {name: one * 0 if "lora_B" in name else one for name, one in sound.items()}
    wrong = {name: one[:, :-8] if "lora_A" in name else one for name, one in sound.items()}
    high = adapter_folders.tensors(rank=64)
    for weights, changes, reason in (
        (idle, {}, "It changes nothing"),
        (wrong, {}, "It was trained on another base model"),
        (high, {"r": 64}, "The largest rank is 64; the engine takes at most 32"),
    ):
        clean = {name: one.copy() for name, one in weights.items()}
        made = adapter_folders.write(folder, clean, {**adapter_folders.PLAIN, **changes})
        form = aiohttp.FormData()
        for field, name in (("adapter_config", CONFIG), ("adapter_model", WEIGHTS)):
            form.add_field(field, BytesIO((made / name).read_bytes()), filename=name)
        async with running.client.post("/v1/adapters", data=form) as answer:
            assert answer.status == 400
            assert reason in json.loads(await answer.text())["error"]["message"]
