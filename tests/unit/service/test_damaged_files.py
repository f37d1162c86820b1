"""Adapter files that are damaged before and after they were loaded, over a fake engine."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from registry.artifacts import MANIFEST
from registry.lifecycle import AdapterStatus
from tests.serving import Serving, serving

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"
WEIGHTS = "adapter_model.safetensors"


def flip_in(name: str) -> Callable[[Path], None]:
    """Return what flips the highest bit of a byte in the middle of a file."""

    def flip(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 5] ^= 0x80
        (folder / name).write_bytes(content)

    return flip


DAMAGES: list[Callable[[Path], object]] = [
    shutil.rmtree,
    lambda folder: (folder / WEIGHTS).unlink(),
    lambda folder: (folder / WEIGHTS).write_bytes(b""),
    flip_in(WEIGHTS),
    flip_in("adapter_config.json"),
    flip_in(MANIFEST),
]


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine, with a healthy version."""
    async with serving(tmp_path) as running:
        await running.serve(OTHER)
        yield running


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_before_loading_never_reaches_the_engine(
    stack: Serving, damage: Callable[[Path], object]
) -> None:
    """The version is rejected, and answers 409 with the reason; its neighbour goes on."""
    await stack.publish(NAME, damage=damage)
    version = await stack.until(NAME, AdapterStatus.REJECTED)
    assert "is corrupt" in (version.reason or "")
    answer = await stack.chat(NAME)
    assert answer.status == 409
    assert "is corrupt" in (await answer.json())["error"]["message"]
    assert stack.vllm.loads == [OTHER]
    assert (await stack.chat(OTHER)).status == 200


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_after_loading_shows_when_it_is_loaded_anew(
    stack: Serving, damage: Callable[[Path], object]
) -> None:
    """It answers until then; afterwards 503 with the reason, which the API shows too."""
    version = await stack.serve(NAME)
    damage(stack.settings.adapters_dir / version.directory)
    assert (await stack.chat(NAME)).status == 200
    stack.vllm.forget()
    async with asyncio.timeout(20):
        while stack.services.reconciler.fault_of(NAME) is None:
            await stack.passed()
    answer = await stack.chat(NAME)
    assert answer.status == 503
    assert "is corrupt" in (await answer.json())["error"]["message"]
    async with stack.client.get(f"/v1/adapters/{NAME}") as shown:
        assert "is corrupt" in (await shown.json())["load_error"]
    assert (await stack.chat(OTHER)).status == 200
    assert stack.vllm.loads.count(NAME) == 1
