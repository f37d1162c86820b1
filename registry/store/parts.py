"""Signs of life of the processes.

It refuses to know what they do.
"""

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from registry.records import Heartbeat
from registry.store import tables
from registry.store.database import Database
from registry.store.prepared import Prepared
from registry.store.rows import fetch_all

_FORGET = Prepared(delete(tables.parts).where(tables.parts.c.part == bindparam("name")))
_BEAT = Prepared(
    insert(tables.parts).values({name: bindparam(name) for name in Heartbeat.__struct_fields__})
)


class Parts:
    """The last heartbeat of each part."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Store a sign of life in place of the part's last."""
        await self._database.note(
            (_FORGET, [{"name": heartbeat.part}]), (_BEAT, [msgspec.structs.asdict(heartbeat)])
        )

    async def alive(self) -> list[Heartbeat]:
        """Return the last heartbeat of every part."""
        async with self._database.read() as connection:
            return await fetch_all(connection, select(tables.parts), Heartbeat)
