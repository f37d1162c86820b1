"""Connections of aiosqlite: opened so that none is left half open, and visited.

It refuses to know what they are for.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Concatenate, ParamSpec, TypeVar

import aiosqlite

P = ParamSpec("P")
T = TypeVar("T")


async def opened(file: str, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401 - the driver's
    """Open a connection, and close it again before a cancellation goes on.

    The driver, cancelled meanwhile, leaves a thread behind that nobody waits for; it fails loudly
    when the event loop is closed before it.
    """
    connection = aiosqlite.connect(file, **options)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does where it opens one
    opening = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(sqlite3.Error):
            await opening
            await connection.close()
        raise


async def visit(
    connection: aiosqlite.Connection,
    work: Callable[Concatenate[sqlite3.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Return what some work comes to that is done in the connection's thread, all in one go."""
    driver: Any = connection
    done: T = await driver._execute(work, driver._conn, *args, **kwargs)  # noqa: SLF001 - as SQLAlchemy does
    return done
