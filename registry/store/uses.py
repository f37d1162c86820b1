"""What each service process says about its use of adapter versions.

It refuses to decide what follows. A statement without a version's name says only that the process
lives.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import bindparam, delete, insert, select

from registry.records import AdapterUse
from registry.store import tables
from registry.store.database import Database
from registry.store.prepared import Prepared

_TABLE = tables.adapter_uses
_FIELDS = AdapterUse.__struct_fields__
_FORGET = Prepared(
    delete(_TABLE).where(
        (_TABLE.c.process == bindparam("speaker")) | (_TABLE.c.said_at < bindparam("forget_before"))
    )
)
_SAY = Prepared(insert(_TABLE).values({name: bindparam(name) for name in _FIELDS}))
_LIVE = Prepared(
    select(*(_TABLE.c[name] for name in _FIELDS)).where(_TABLE.c.said_at >= bindparam("since"))
)


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
        stale = {"speaker": process, "forget_before": forget_before}
        await self._database.note(
            (_FORGET, [stale]), (_SAY, [msgspec.structs.asdict(use) for use in uses])
        )

    async def live(self, *, since: float) -> list[AdapterUse]:
        """Return what every process said from a Unix time in seconds on."""
        rows = await self._database.look(_LIVE, since=since)
        return [AdapterUse(**dict(zip(_FIELDS, row, strict=True))) for row in rows]

    async def leave(self, process: str) -> None:
        """Delete a process's statement: it stops."""
        async with self._database.write() as connection:
            await connection.execute(delete(_TABLE).where(_TABLE.c.process == process))
