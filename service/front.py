"""The front door: inference goes straight to its exchange, everything else to Litestar.

It refuses to know what either does. Litestar describes the inference routes too, and leads to the
same exchange; going past its machinery is what lets one core answer thousands of requests a second.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, Receive, Scope, Send

from service.dialects.table import DIALECTS_BY_PATH
from service.inference import Inference
from service.services import Services


class Front:
    """The ASGI application that is served."""

    def __init__(self, litestar: Litestar) -> None:
        self.litestar = litestar
        """The application behind the door."""
        self._litestar: ASGIApp = litestar
        self._doors: Mapping[str, Inference] = {}

    def open(self, services: Services) -> None:
        """Lead inference to these parts from now on."""
        self._doors = {
            path: Inference(services, dialect) for path, dialect in DIALECTS_BY_PATH.items()
        }

    @property
    def state(self) -> State:
        """Where the running service lies, as `services`."""
        return self.litestar.state

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Return the life of the service: its parts run for the length of the block."""
        return self.litestar.lifespan()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead one connection on."""
        door = self._doors.get(scope.get("path", ""))
        if door is not None and scope.get("method") == "POST":
            await door(scope, receive, send)
        else:
            await self._litestar(scope, receive, send)
