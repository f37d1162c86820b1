"""Fixtures of the service's tests: the real application on a real store, without an engine."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from registry.records import Scope
from registry.settings import Settings
from service.front import Front
from tests.applications import application
from tests.database_template import prepare
from tests.service_api import Connect, open_client


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings of the test's own, with an engine that is not there."""
    prepare(tmp_path / "data")
    return Settings(data_dir=tmp_path / "data", engine_url="http://127.0.0.1:9")


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Front]:
    """Run the application."""
    started, stop = asyncio.Event(), asyncio.Event()

    async def serve(lent: Front) -> None:
        try:
            async with lent.lifespan():
                started.set()
                await stop.wait()
        finally:
            started.set()

    with application(settings) as lent:
        # The two halves of a fixture may run in two tasks; task groups must end where they began.
        running = asyncio.ensure_future(serve(lent))
        await started.wait()
        yield lent
        stop.set()
        await running


@pytest.fixture
async def anonymous(app: Front) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client without a key."""
    async with open_client(app) as opened:
        yield opened


@pytest.fixture
async def client(app: Front, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with the first admin key."""
    async with open_client(app, settings.admin_key_file.read_text().strip()) as opened:
        yield opened


@pytest.fixture
async def connect(app: Front, client: httpx.AsyncClient) -> Connect:
    """Return a function that opens a client with a new key."""

    async def with_key(*scopes: Scope, project: str = "default") -> httpx.AsyncClient:
        body = {"name": "test", "scopes": list(scopes), "project": project}
        made = await client.post("/v1/api_keys", json=body)
        return open_client(app, made.json()["secret"])

    return with_key
