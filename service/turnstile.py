"""How many inference requests are in flight at a time, and how many may wait for that.

It refuses to know what they ask for. Without a bound a slow engine fills the memory with requests
whose clients gave up long ago.
"""

import asyncio
from collections import deque
from contextlib import suppress

from registry.errors import Unavailable

RETRY_SECONDS = 1
"""When a refused client should try again."""


class Turnstile:
    """Lets a bounded number of requests through; a bounded number waits in its order."""

    def __init__(self, *, places: int, queue: int, wait_seconds: float) -> None:
        self._places = self._free = places
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiting)

    @property
    def taken(self) -> int:
        """Places that are taken now."""
        return self._places - self._free

    def try_enter(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return True
        return False

    async def enter(self) -> None:
        """Take a place as soon as it is this request's turn.

        Raises:
            Unavailable: Too many wait already, or no place came free in time.
        """
        if self.try_enter():
            return
        if len(self._waiting) >= self._queue:
            message = "The service has as many requests as it can hold; try again."
            raise Unavailable("service", message, RETRY_SECONDS)
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except TimeoutError as exc:
            self._give_up(turn)
            message = "No place came free in time; the engines are busy. Try again."
            raise Unavailable("service", message, RETRY_SECONDS) from exc
        except asyncio.CancelledError:
            self._give_up(turn)
            raise

    def leave(self) -> None:
        """Give the place to whoever waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.cancelled():
            with suppress(ValueError):  # passed over already
                self._waiting.remove(turn)
        else:  # its turn came in the very moment in which it gave up
            self.leave()
