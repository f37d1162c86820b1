"""The front door: inference goes straight to its exchange, everything else to Litestar.

It refuses to know what either does. Litestar describes the inference routes too, and leads to the
same exchange; going past its machinery is what lets one core answer thousands of requests a second.
"""

from contextlib import AbstractAsyncContextManager

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, Receive, Scope, Send

from service.dialects.table import DIALECTS_BY_PATH
from service.inference import Inference


class Front:
    """The ASGI application that is served."""

    def __init__(self, litestar: Litestar) -> None:
        self.litestar = litestar
        """The application behind the door."""
        self._litestar: ASGIApp = litestar

    @property
    def state(self) -> State:
        """Where the running service lies, as `services`."""
        return self.litestar.state

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Return the life of the service: its parts run for the length of the block."""
        return self.litestar.lifespan()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lead one connection on."""
        dialect = DIALECTS_BY_PATH.get(scope.get("path", ""))
        if dialect is not None and scope.get("method") == "POST":
            await Inference(self.litestar.state.services, dialect)(scope, receive, send)
            return
        await self._litestar(scope, receive, send)
