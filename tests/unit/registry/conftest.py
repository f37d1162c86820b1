"""The store of the registry's tests, on each database in turn."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.store import Store
from tests.postgres import DATABASES, store_on


@pytest.fixture(params=DATABASES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a real store, on each database in turn."""
    async with store_on(request.param, tmp_path) as opened:
        yield opened
