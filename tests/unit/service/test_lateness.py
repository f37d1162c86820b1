"""A service that was held up itself does not take the engine for silent."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from service.vllm import Engine

HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def engine(answer: Answer) -> AsyncIterator[tuple[Engine, list[bytes]]]:
    """Run a server, and yield what asks it with the heads of the requests that came."""
    heads: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            await answer(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    asked = Engine(f"http://127.0.0.1:{port}", None, deadline_seconds=5, health_seconds=0.5)
    await asked.open()
    try:
        yield asked, heads
    finally:
        await asked.close()
        listening.close()


async def test_a_held_up_look_is_made_once_more() -> None:
    """The engine answers, and counts as healthy, though our deadline was over before we heard."""

    async def held_up_once(writer: asyncio.StreamWriter) -> None:
        if len(heads) == 1:
            time.sleep(1.0)  # noqa: ASYNC251 - the pause itself: nothing runs meanwhile
            await asyncio.sleep(0.1)
        writer.write(HEALTHY)
        await writer.drain()

    async with engine(held_up_once) as (asked, heads):
        assert await asked.is_healthy()
        assert len(heads) == 2


async def test_a_silent_engine_is_asked_once() -> None:
    """A deadline that was heard of in time is the engine's own silence."""
    done = asyncio.Event()

    async def silent(_writer: asyncio.StreamWriter) -> None:
        await done.wait()

    async with engine(silent) as (asked, heads):
        assert not await asked.is_healthy()
        assert len(heads) == 1
        done.set()
