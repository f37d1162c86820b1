"""The connection to the database, its transactions and its migrations.

It refuses to know any table.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from anyio import to_thread
from filelock import FileLock
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from registry.errors import Invalid, Unavailable
from registry.store import sqlite
from registry.store.prepared import Prepared, Rows, Step, Straight

_MIGRATIONS = Path(__file__).parent.parent / "migrations"
WAIT_SECONDS = 30.0
"""Longest time that anybody waits for the database, unless told otherwise."""
_CANCEL_SECONDS = 0.5
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
        sqlite_options = {**sqlite.POOL, "module": sqlite.MODULE}
        self.engine = create_async_engine(
            url,
            connect_args={"timeout": wait_seconds} if self.is_sqlite else {},
            pool_pre_ping=not self.is_sqlite,
            pool_timeout=wait_seconds,
            pool_use_lifo=True,
            **(sqlite_options if self.is_sqlite else {}),
        )
        if self.is_sqlite:
            sqlite.prepare(self.engine.sync_engine)
        self.file = self.engine.url.database if self.is_sqlite else None
        """The file it is in, if it is one."""
        self._reading = self._straight("BEGIN")
        self._writing = self._straight("BEGIN IMMEDIATE")

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
                await connection.execution_options(**{sqlite.WRITES: True})
                async with connection.begin():
                    yield connection

    async def look(self, prepared: Prepared, **values: object) -> Rows:
        """Return what a prepared statement finds, in a transaction of its own.

        Raises:
            Unavailable: The database cannot be reached.
        """
        if self._reading is None:
            async with self.read() as connection:
                return await prepared.elsewhere(connection, [values])
        with _translated():
            (found,) = await self._reading.run([(prepared, [values])])
        return found

    async def note(self, *steps: Step) -> list[Rows]:
        """Run prepared statements in a transaction that writes, and return what each found.

        It is durable when this returns.

        Raises:
            Unavailable: The database cannot be reached, or is locked for too long.
        """
        if self._writing is None:
            async with self.write() as connection:
                return [await prepared.elsewhere(connection, many) for prepared, many in steps]
        with _translated():
            return await self._writing.run(steps)

    def _straight(self, opening: str) -> Straight | None:
        return None if self.file is None else Straight(self.file, self._wait_seconds, opening)

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
            await connection.execution_options(**{sqlite.WRITES: True})
            async with connection.begin():
                if not self.is_sqlite:
                    await connection.execute(
                        text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK}
                    )
                await connection.run_sync(_run_migrations)

    async def close(self) -> None:
        """Close every connection."""
        for straight in (self._reading, self._writing):
            if straight is not None:
                await straight.close()
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
