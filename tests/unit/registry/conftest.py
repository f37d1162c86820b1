"""The store of the registry's tests, on each database in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from registry.settings import Settings
from registry.store import Store, open_store
from tests.postgres import temporary_database


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a real store, on each database in turn."""
    if request.param == "sqlite":
        opened = await open_store(Settings(data_dir=tmp_path))
        yield opened
        await opened.close()
        return
    with temporary_database() as url:
        opened = await open_store(Settings(data_dir=tmp_path, database_url=SecretStr(url)))
        yield opened
        await opened.close()
