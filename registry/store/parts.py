"""Signs of life of the processes.

It refuses to know what they do.
"""

from sqlalchemy import delete, select

from registry.records import Heartbeat
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import add, fetch_all


class Parts:
    """The last heartbeat of each part."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Store a sign of life in place of the part's last."""
        table = tables.parts
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.part == heartbeat.part))
            await add(connection, table, heartbeat)

    async def alive(self) -> list[Heartbeat]:
        """Return the last heartbeat of every part."""
        async with self._database.read() as connection:
            return await fetch_all(connection, select(tables.parts), Heartbeat)
