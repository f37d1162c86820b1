"""Statements that come every second or so, compiled once and run in few steps.

It refuses to know what they are for. On SQLite they go past SQLAlchemy to a connection of their
own: to build a statement, and to open and end a transaction for it, takes the event loop about
0.5 ms on an idle machine, in which no request is answered; these take 0.025.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

import aiosqlite
from sqlalchemy import Delete, Insert, Select, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.batch_writer import PRAGMAS
from registry.store.opening import opened, visit

Values = Mapping[str, Any]
"""Numbers and texts, by parameter."""
Rows = list[tuple[Any, ...]]
"""Rows as the database has them: on SQLite JSON is text, and a truth 0 or 1."""


class Prepared:
    """A statement whose values are numbers and texts, as is what it finds.

    Args:
        statement: It, for either database, or for SQLite.
        postgresql: It, for PostgreSQL, if that differs.
    """

    def __init__(
        self,
        statement: Select[Any] | Insert | Update | Delete,
        *,
        postgresql: Insert | None = None,
    ) -> None:
        compiled = statement.compile(dialect=sqlite.dialect())
        self._sql = str(compiled)
        self._fixed = compiled.params
        self._names = compiled.positiontup or []
        self._elsewhere = statement if postgresql is None else postgresql

    def on(self, connection: sqlite3.Connection, many: Sequence[Values]) -> Rows:
        """Run it on SQLite, once for each of the values, and return what it found."""
        rows: Rows = []
        for values in many:
            given = {**self._fixed, **values}
            rows += connection.execute(self._sql, [given[name] for name in self._names]).fetchall()
        return rows

    async def elsewhere(self, connection: AsyncConnection, many: Sequence[Values]) -> Rows:
        """Run it by SQLAlchemy, once for each of the values, and return what it found."""
        rows: Rows = []
        for values in many:
            result = await connection.execute(self._elsewhere, dict(values))
            rows += [tuple(row) for row in result] if result.returns_rows else []
        return rows


Step = tuple[Prepared, Sequence[Values]]
"""A statement and its values, each of which runs it once."""


class Straight:
    """One connection to an SQLite file, for prepared statements alone.

    Args:
        file: The database.
        wait_seconds: Longest time to wait for a lock.
        opening: How each transaction begins.
    """

    def __init__(self, file: str, wait_seconds: float, opening: str) -> None:
        self._file = file
        self._wait_seconds = wait_seconds
        self._opening = opening
        self._connection: aiosqlite.Connection | None = None
        self._turn = asyncio.Lock()  # protects the connection while it is opened and closed

    async def run(self, steps: Sequence[Step]) -> list[Rows]:
        """Run steps as one transaction, in one visit to the connection's thread.

        Raises:
            DBAPIError: The database refuses, or is locked for too long; nothing was changed.
        """
        try:
            async with self._turn:
                if self._connection is None:
                    self._connection = await self._opened()
                connection = self._connection
                found = await visit(connection, _transaction, self._opening, steps)
        except sqlite3.Error as exc:
            raise DBAPIError.instance(None, None, exc, sqlite3.Error) from exc
        return found

    async def close(self) -> None:
        """Close the connection."""
        async with self._turn:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

    async def _opened(self) -> aiosqlite.Connection:
        connection = await opened(self._file, timeout=self._wait_seconds, isolation_level=None)
        try:
            for pragma in PRAGMAS:
                await connection.execute_fetchall(pragma)
        except BaseException:
            await connection.close()
            raise
        return connection


def _transaction(connection: sqlite3.Connection, opening: str, steps: Sequence[Step]) -> list[Rows]:
    connection.execute(opening)
    try:
        found = [prepared.on(connection, many) for prepared, many in steps]
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return found
