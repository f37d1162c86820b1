"""Files that come to vLLM's host: the routine that stands before vLLM's own."""

import asyncio
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from registry.artifact_store import ArtifactStore
from registry.artifacts import Manifest
from registry.errors import CorruptArtifact, StoreAway
from registry.settings import Settings
from service.stack.remote_files import Fetcher, fetching


class Bringing(ArtifactStore):
    """A store that brings when it is let, or fails."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.may = Event()
        self.fault: Exception | None = None
        self.brought: list[str] = []

    def bring_newest(self, directory: str) -> Manifest:
        """Bring nothing, and note what was asked."""
        self.may.wait(10)
        self.brought.append(directory)
        if self.fault is not None:
            raise self.fault
        return None  # type: ignore[return-value] # nobody looks


class Models:
    """vLLM's routine, as far as it is wrapped."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    async def load_lora_adapter(self, request: Any) -> str:
        """Note a load."""
        self.loaded.append(request.lora_name)
        return "Success"


@pytest.fixture
def store(settings: Settings) -> Bringing:
    """Return a store that brings at once."""
    made = Bringing(settings)
    made.may.set()
    return made


@pytest.fixture
def fetcher(store: Bringing, settings: Settings) -> Fetcher:
    """Return what stands before vLLM's routine."""
    return Fetcher(store, settings.adapters_dir)


def request_for(folder: Path) -> SimpleNamespace:
    """Return a request to load a folder."""
    return SimpleNamespace(lora_name="ft:x", lora_path=str(folder))


async def test_files_are_there_before_vllm_looks(
    store: Bringing, fetcher: Fetcher, settings: Settings
) -> None:
    """The directory is the last part of the path."""
    models = Models()
    load = fetching(Models.load_lora_adapter, fetcher, str)
    assert await load(models, request_for(settings.adapters_dir / "ftjob-1")) == "Success"
    assert (store.brought, models.loaded) == (["ftjob-1"], ["ft:x"])


async def test_a_path_of_the_operators_own_is_left_alone(
    store: Bringing, fetcher: Fetcher, tmp_path: Path
) -> None:
    """What lies elsewhere never came from the bucket."""
    models = Models()
    load = fetching(Models.load_lora_adapter, fetcher, str)
    assert await load(models, request_for(tmp_path / "mine")) == "Success"
    assert store.brought == []


async def test_a_bucket_that_is_away_is_told_and_vllm_is_not_asked(
    store: Bringing, fetcher: Fetcher, settings: Settings
) -> None:
    """The service tries again; files that are corrupt are vLLM's to miss."""
    models = Models()
    load = fetching(Models.load_lora_adapter, fetcher, lambda message: f"503 {message}")
    store.fault = StoreAway("artifact_store", "No bucket.")
    assert await load(models, request_for(settings.adapters_dir / "a")) == "503 No bucket."
    assert models.loaded == []
    store.fault = CorruptArtifact("a", "truncated")
    assert await load(models, request_for(settings.adapters_dir / "a")) == "Success"


async def test_files_that_come_slowly_are_brought_once(
    store: Bringing, fetcher: Fetcher, settings: Settings
) -> None:
    """A load that cannot wait longer is tried again, and finds them on their way or there."""
    store.may.clear()
    path = settings.adapters_dir / "a"
    for _ in range(2):
        with pytest.raises(StoreAway, match="still coming"):
            await fetcher.fetch(path, wait_seconds=0.05)
    store.may.set()
    async with asyncio.timeout(10):
        await fetcher.fetch(path)
    assert store.brought == ["a"]
