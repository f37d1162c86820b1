"""The body of an engine's answer, piece by piece, for tests that look at each.

It refuses to know what the pieces say.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

Pour = Callable[[Callable[[bytes], bool], Callable[[], Awaitable[None]]], Awaitable[None]]


class Poured(Protocol):
    """An answer that is still coming."""

    @property
    def pour(self) -> Pour:
        """What hands on its body."""


@asynccontextmanager
async def pieces_of(answer: "Poured") -> AsyncGenerator[asyncio.Queue[bytes | None], None]:
    """Pour an answer into a queue for the length of a block: its pieces, then none at its end.

    A piece is handed on when the one before it was taken out of the queue.
    """
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue(1)
    late: list[bytes] = []

    def take(data: bytes) -> bool:
        late.append(data)
        return False

    async def drain() -> None:
        while late:
            await pieces.put(late.pop(0))

    async def pour() -> None:
        await answer.pour(take, drain)
        await pieces.put(None)

    async with asyncio.TaskGroup() as group:
        pouring = group.create_task(pour())
        try:
            yield pieces
        finally:
            pouring.cancel()


async def whole_of(answer: "Poured") -> bytes:
    """Return the whole body of an answer."""
    found = bytearray()

    def take(data: bytes) -> bool:
        found.extend(data)
        return True

    async def drain() -> None:
        raise AssertionError("nobody said that it is full")

    await answer.pour(take, drain)
    return bytes(found)
