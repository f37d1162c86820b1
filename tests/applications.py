"""The service's application for a test: routes that were registered once, over parts of its own.

It refuses to know what is tested. Registering the routes takes half of the processor time of a test
that asks one question, and they hold nothing between two lives.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from litestar import Litestar

from registry.settings import Settings
from service.asgi import doors, life
from service.front import Front


class _Doors:
    """Routes that lead to the parts of one life after the other."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.litestar = doors(self._life)
        self.front = Front(self.litestar)

    @asynccontextmanager
    async def _life(self, app: Litestar) -> AsyncIterator[None]:
        async with life(self.settings, self.front.open, app):
            yield


_idle: list[_Doors] = []


@contextmanager
def application(settings: Settings) -> Iterator[Front]:
    """Lend an application, not started yet; those lent at the same time share nothing."""
    lent = _idle.pop() if _idle else _Doors()
    lent.settings = settings
    lent.litestar.state.clear()
    try:
        yield lent.front
    finally:
        _idle.append(lent)
