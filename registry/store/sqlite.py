"""SQLite behind SQLAlchemy, with few ways between the event loop and the database's thread.

It refuses to know any statement. A connection has a thread of its own, and each way there and back
interrupts the requests beside it: SQLAlchemy's own adapter goes there four times for a statement.
"""

import sqlite3
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast

import aiosqlite
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.util import await_, immutabledict

from registry.batch_writer import PRAGMAS
from registry.store.opening import opened, visit

POOL = {"pool_size": 2, "max_overflow": 13}
"""Connections that are kept, and how many more there may be for a while. A connection has a thread,
whose memory stays as large as its largest batch made it."""
WRITES = "graftline_write"
"""Option of a connection whose next transaction writes."""


class _Done(NamedTuple):
    """What is known of a statement after it was executed."""

    rows: list[Any]
    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = -1
    in_transaction: bool = False


class _Cursor(AsyncAdapt_aiosqlite_cursor):
    """A cursor that goes to the database's thread once, with its statement."""

    __slots__ = ("_done",)

    _adapt_connection: "_Connection"

    def __init__(self, adapt_connection: "_Connection") -> None:
        self._adapt_connection = adapt_connection
        self._connection = adapt_connection._connection  # noqa: SLF001 - as its own cursors do
        self._soft_closed_memoized = immutabledict()
        self._rows = deque()
        self._done = _Done([])

    @property
    def description(self) -> Any:  # noqa: ANN401 - the driver's
        return self._done.description

    @property
    def rowcount(self) -> int:
        return self._done.rowcount

    @property
    def lastrowid(self) -> Any:  # noqa: ANN401 - the driver's
        return self._done.lastrowid

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """The driver's cursor is closed: everything it found is here."""

    async def _execute_async(self, operation: Any, parameters: Any) -> None:  # noqa: ANN401 - the driver's
        await self._visit(sqlite3.Cursor.execute, operation, parameters or ())

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> None:  # noqa: ANN401 - the driver's
        await self._visit(sqlite3.Cursor.executemany, operation, seq_of_parameters)

    async def _visit(self, execute: Callable[..., object], *arguments: object) -> None:
        self._done = await self._adapt_connection.visit(partial(_executed, execute, arguments))
        self._rows = deque(self._done.rows)


class _Connection(AsyncAdapt_aiosqlite_connection):
    """A connection that knows whether a transaction is open, and ends none that is not."""

    __slots__ = ("_may_be_open", "_opening")

    _cursor_cls: type[AsyncAdapt_aiosqlite_cursor] = _Cursor

    def __init__(self, dbapi: AsyncAdapt_aiosqlite_dbapi, connection: aiosqlite.Connection) -> None:
        super().__init__(dbapi, cast("Any", connection))
        self._opening: str | None = None
        self._may_be_open = True

    def begin_late(self, opening: str) -> None:
        """Have the next statement open a transaction first, on the same way."""
        self._opening = opening

    async def visit(self, executed: Callable[[sqlite3.Connection, str | None], _Done]) -> _Done:
        """Execute a statement in the database's thread."""
        opening, self._opening = self._opening, None
        async with self._execute_mutex:
            self._may_be_open = True  # until it is known: nobody may wait for the end
            driver: Any = self._connection
            done = await visit(driver, executed, opening)
            self._may_be_open = done.in_transaction
        return done

    def commit(self) -> None:
        self._end(super().commit)

    def rollback(self) -> None:
        self._end(super().rollback)

    def _end(self, end: Callable[[], None]) -> None:
        self._opening = None
        if self._may_be_open:
            end()
            self._may_be_open = False


class _Module(AsyncAdapt_aiosqlite_dbapi):
    def connect(self, file: str, **options: Any) -> AsyncAdapt_aiosqlite_connection:  # noqa: ANN401 - the driver's
        return _Connection(self, await_(opened(file, **options)))


MODULE = _Module(aiosqlite, sqlite3)
"""What SQLAlchemy takes for the driver."""


def prepare(engine: Engine) -> None:
    """Set up an engine's connections, and have it open transactions as they are meant."""
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)


def _executed(
    execute: Callable[..., object],
    arguments: tuple[object, ...],
    connection: sqlite3.Connection,
    opening: str | None,
) -> _Done:
    cursor = connection.cursor()
    try:
        if opening is not None:
            cursor.execute(opening)
        execute(cursor, *arguments)
        rows = cursor.fetchall() if cursor.description else []
        return _Done(
            rows, cursor.description, cursor.rowcount, cursor.lastrowid, connection.in_transaction
        )
    finally:
        cursor.close()


def _set_up(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    """Open a transaction: one that writes at once, so that it has the lock or fails."""
    if connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        adapted: Any = connection.connection.dbapi_connection
        adapted.begin_late("BEGIN")
