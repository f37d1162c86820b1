"""Work that stops when the client goes away.

It refuses to know the work.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from anyio import CancelScope, create_task_group
from litestar.types import Receive


@dataclass
class Connection:
    """The client's side of a request."""

    is_gone: bool = False
    """Whether the client left before the work was done."""


@asynccontextmanager
async def while_connected(receive: Receive) -> AsyncIterator[Connection]:
    """Cancel the block when the client goes away; the request's body must have been read.

    After the block, `is_gone` says whether that happened. An error of the block is raised as it is.
    """
    connection = Connection()
    failure: Exception | None = None
    async with create_task_group() as group:
        group.start_soon(_watch, receive, connection, group.cancel_scope)
        try:
            yield connection
        except Exception as exc:  # noqa: BLE001 - raised below; a task group would wrap it
            failure = exc
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _watch(receive: Receive, connection: Connection, scope: CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    connection.is_gone = True
    scope.cancel()
