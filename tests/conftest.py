"""Fixtures that every test may use: settings with a folder of their own, and a real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.settings import Settings
from registry.store import Store, open_store


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings whose data directory is the test's own."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Open a real SQLite store."""
    opened = await open_store(settings)
    yield opened
    await opened.close()
