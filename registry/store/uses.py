"""What each service process says about its use of adapter versions.

It refuses to decide what follows. A statement without a version's name says only that the process
lives.
"""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from registry.records import AdapterUse
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import columns, fetch_all


class Uses:
    """The last statement of every process."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def say(self, process: str, uses: Sequence[AdapterUse], *, forget_before: float) -> None:
        """Store a process's statement in place of its last, and sweep those of dead processes.

        Args:
            process: Who says it.
            uses: What it says, each about another version.
            forget_before: Unix time in seconds; older statements of any process are deleted.
        """
        table = tables.adapter_uses
        stale = (table.c.process == process) | (table.c.said_at < forget_before)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(stale))
            if uses:
                await connection.execute(insert(table), [columns(use) for use in uses])

    async def live(self, *, since: float) -> list[AdapterUse]:
        """Return what every process said from a Unix time in seconds on."""
        table = tables.adapter_uses
        query = select(table).where(table.c.said_at >= since)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, AdapterUse)

    async def leave(self, process: str) -> None:
        """Delete a process's statement: it stops."""
        table = tables.adapter_uses
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.process == process))
