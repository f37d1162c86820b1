"""Work that stops when the client goes away.

It refuses to know the work.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CancelScope, create_task_group
from litestar.types import Receive


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[None]:
    """Cancel the block when the client goes away; the request's body must have been read.

    A cancelled block is left without an error; an error of the block is raised as it is.
    """
    failure: Exception | None = None
    async with create_task_group() as group:
        group.start_soon(_watch, receive, group.cancel_scope)
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - raised below; a task group would wrap it
            failure = exc
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _watch(receive: Receive, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
