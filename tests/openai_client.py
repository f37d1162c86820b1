"""The unmodified `openai` client against the service behind a real server, for tests that block.

It refuses to know which claim a test makes.
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import openai
import uvicorn

from registry.settings import Settings
from registry.store import Store, open_store
from service.asgi import create_app

START_SECONDS = 30.0
"""Longest time until the server listens, and until it has stopped."""
T = TypeVar("T")


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @property
    def address(self) -> str:
        port = self.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}/v1"


@contextmanager
def served_client(settings: Settings) -> Iterator[openai.OpenAI]:
    """Serve the application in another thread, and open a client with the admin key."""
    config = uvicorn.Config(
        create_app(settings), port=0, loop="asyncio", lifespan="on", log_config=None
    )
    server = _Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert server.listening.wait(START_SECONDS)
    key = settings.admin_key_file.read_text().strip()
    with openai.OpenAI(base_url=server.address, api_key=key, max_retries=0) as opened:
        yield opened
    server.should_exit = True
    thread.join(START_SECONDS)


def in_store(settings: Settings, act: Callable[[Store], Awaitable[T]]) -> T:
    """Do something with the store as another process would, and return what it returns."""

    async def run() -> T:
        store = await open_store(settings)
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(run())
