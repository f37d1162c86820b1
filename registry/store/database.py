"""The connection to the database, its transactions and its migrations.

It refuses to know any table.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import aiosqlite
from alembic import command
from alembic.config import Config
from anyio import to_thread
from filelock import FileLock
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from registry.errors import Invalid, Unavailable

_MIGRATIONS = Path(__file__).parent.parent / "migrations"
WAIT_SECONDS = 30.0
"""Longest time that anybody waits for the database, unless told otherwise."""
_CANCEL_SECONDS = 0.5
_SQLITE_POOL = {"pool_size": 2, "max_overflow": 13}
"""Connections that are kept, and how many more there may be for a while. A connection has a thread,
whose memory stays as large as its largest batch made it."""
_POSTGRES_LOCK = 7_241_016


class Database:
    """An engine with three kinds of transaction: `read`, `read_as_one` and `write`.

    Args:
        url: SQLAlchemy's.
        wait_seconds: Longest time for a lock on SQLite, and for a whole transaction on a server,
            which may hang without a word.
    """

    def __init__(self, url: str, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self.is_sqlite = url.startswith("sqlite")
        self._wait_seconds = wait_seconds
        sqlite_arguments = {"timeout": wait_seconds, "async_creator_fn": _open_sqlite}
        self.engine = create_async_engine(
            url,
            connect_args=sqlite_arguments if self.is_sqlite else {},
            pool_pre_ping=not self.is_sqlite,
            pool_timeout=wait_seconds,
            pool_use_lifo=True,
            **(_SQLITE_POOL if self.is_sqlite else {}),
        )
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads.

        Raises:
            Unavailable: The database cannot be reached.
        """
        with _translated():
            async with (
                self._in_time(),
                self.engine.connect() as connection,
                connection.begin(),
            ):
                yield connection

    @asynccontextmanager
    async def read_as_one(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads, and whose statements all see the same moment.

        On SQLite every transaction does; on PostgreSQL only from REPEATABLE READ upwards.

        Raises:
            Unavailable: The database cannot be reached.
        """
        with _translated():
            async with self._in_time(), self.engine.connect() as connection:
                if not self.is_sqlite:
                    await connection.execution_options(isolation_level="REPEATABLE READ")
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes; it is durable when the block ends.

        On SQLite it takes the write lock at once, so it never fails half-way for want of it.

        Raises:
            Unavailable: The database cannot be reached, or is locked for too long.
        """
        with _translated():
            async with self._in_time(), self.engine.connect() as connection:
                await connection.execution_options(graftline_write=True)
                async with connection.begin():
                    yield connection

    async def migrate(self, lock_file: Path) -> None:
        """Bring the schema to the newest version; safe when several processes start at once."""
        with _translated():
            if self.is_sqlite:
                lock = FileLock(lock_file, thread_local=False)
                await to_thread.run_sync(lock.acquire)
                try:
                    await self._upgrade()
                finally:
                    lock.release()
            else:
                await self._upgrade()

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """End a transaction that a server leaves without an answer.

        The driver asks the server to cancel the query and waits for its word for another ten
        seconds; interrupted once more, it cuts the connection. SQLite's own deadline is the lock's.
        """
        if self.is_sqlite:
            yield
            return
        try:
            async with (
                asyncio.timeout(self._wait_seconds + _CANCEL_SECONDS),
                asyncio.timeout(self._wait_seconds),
            ):
                yield
        except TimeoutError as exc:
            message = f"The database did not answer within {self._wait_seconds:g} s; try again."
            raise Unavailable("database", message) from exc

    async def _upgrade(self) -> None:
        async with self.engine.connect() as connection:
            await connection.execution_options(graftline_write=True)
            async with connection.begin():
                if not self.is_sqlite:
                    await connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK}
                    )
                await connection.run_sync(_run_migrations)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OperationalError as exc:
        raise Unavailable("database", f"The database does not answer: {exc.orig}") from exc
    except PoolTimeout as exc:
        message = "Too many requests wait for the database; try again."
        raise Unavailable("database", message) from exc
    except DataError as exc:  # such as a NUL character, which PostgreSQL does not store
        reason = str(exc.orig).partition("\n")[0]
        raise Invalid(f"A value cannot be stored: {reason}.") from exc


def _run_migrations(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def _open_sqlite(*arguments: Any, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401 - the driver's
    """Open a connection, and close it again before a cancellation goes on.

    The driver, cancelled meanwhile, leaves a thread behind that nobody waits for; it fails loudly
    when the event loop is closed before it.
    """
    connection = aiosqlite.connect(*arguments, **options)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does where it opens one
    opening = asyncio.ensure_future(connection)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        with suppress(sqlite3.Error):
            await opening
            await connection.close()
        raise


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # what was acknowledged survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("graftline_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
