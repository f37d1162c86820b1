"""Clients that go away, and the requests that are then given up.

It refuses to know the requests. Most are answered within `GRACE_SECONDS`: only older ones get a
task that listens for their client, so that a short request costs no task of its own.
"""

import asyncio
from types import TracebackType

from litestar.types import Receive

GRACE_SECONDS = 0.05
"""Age at which a request's client is listened for; one that left earlier is noticed then."""


class Watch:
    """One request whose client may go away; its block is cancelled, and left without an error."""

    __slots__ = ("_departures", "_receive", "_task", "has_left", "since")

    def __init__(self, departures: "Departures", receive: Receive) -> None:
        self._departures = departures
        self._receive = receive
        self._task: asyncio.Task[None] | None = None
        self.since = 0.0
        """When it began, on the loop's clock, in seconds."""
        self.has_left = False
        """Whether the client went away first."""

    def __enter__(self) -> "Watch":
        self._task = asyncio.current_task()
        self._departures.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        self._departures.end(self)
        if not self.has_left or task is None:
            return False
        # Only our own cancellation is taken back: a service that stops cancels too.
        return task.uncancel() == 0 and kind is asyncio.CancelledError

    async def listen(self) -> None:
        """Return once the request is over, or cancel it when its client goes away first."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if self._task is not None and not self.has_left:
            self.has_left = True
            self._task.cancel()


class Departures:
    """Listens for the clients of every request that takes longer than the grace."""

    def __init__(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self._grace_seconds = grace_seconds
        self._young: dict[Watch, None] = {}  # the oldest first

    def watch(self, receive: Receive) -> Watch:
        """Return the watch of one request, whose body must have been read."""
        return Watch(self, receive)

    def begin(self, watch: Watch) -> None:
        """Count a request as young."""
        watch.since = asyncio.get_running_loop().time()
        self._young[watch] = None

    def end(self, watch: Watch) -> None:
        """Forget a request."""
        self._young.pop(watch, None)

    async def run(self) -> None:
        """Listen for the clients of requests that grew old, until cancelled."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(self._grace_seconds)
                oldest = loop.time() - self._grace_seconds
                while self._young and next(iter(self._young)).since <= oldest:
                    watch = next(iter(self._young))
                    del self._young[watch]
                    group.create_task(watch.listen())
