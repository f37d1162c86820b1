"""The right of one process, for a short time, to do what only one may do.

It refuses to know what that is. A holder that is killed loses the right when its time is over.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import LostLease
from registry.records import Lease
from registry.store import tables
from registry.store.database import Database
from registry.store.prepared import Prepared
from registry.store.rows import columns, fetch_all, fetch_first


def _taking(insert: Callable[[Table], Any]) -> Any:  # noqa: ANN401 - each database has a class
    table = tables.leases
    statement = insert(table).values({name: bindparam(name) for name in Lease.__struct_fields__})
    wanted = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": wanted.holder, "expires_at": wanted.expires_at},
        where=(table.c.holder == wanted.holder) | (table.c.expires_at < bindparam("now")),
    ).returning(table.c.name)


_TAKE = Prepared(_taking(sqlite.insert), postgresql=_taking(postgresql.insert))


class Leases:
    """The leases that are held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, lease: Lease, *, now: float) -> bool:
        """Take or renew a lease, and return whether its holder has it now.

        Args:
            lease: What is wanted, by whom, and until when.
            now: Unix time in seconds; a lease that ended before may be taken from its holder.
        """
        given = {**msgspec.structs.asdict(lease), "now": now}
        (taken,) = await self._database.note((_TAKE, [given]))
        return bool(taken)

    async def renew(self, holder: str, *, expires_at: float) -> set[str]:
        """Renew every lease of a holder, and return their names."""
        table = tables.leases
        mine = table.c.holder == holder
        async with self._database.write() as connection:
            await connection.execute(update(table).where(mine).values(expires_at=expires_at))
            found = await connection.execute(select(table.c.name).where(mine))
            return set(found.scalars())

    async def all(self, prefix: str) -> list[Lease]:
        """Return the leases whose names begin with a prefix, ended ones too."""
        table = tables.leases
        query = select(table).where(table.c.name.startswith(prefix, autoescape=True))
        async with self._database.read() as connection:
            return await fetch_all(connection, query, Lease)

    async def inherit(self, seen: Lease, heir: Lease, *, ending: str | None = None) -> bool:
        """Take a lease from a holder that is dead, and end some of its others.

        Args:
            seen: The lease as it was seen last; if it was renewed since, nothing changes.
            heir: The same lease with its new holder.
            ending: Beginning of the names of those that end; none for no other.

        Returns:
            Whether the heir has it now.
        """
        table = tables.leases
        same = (
            (table.c.name == seen.name)
            & (table.c.holder == seen.holder)
            & (table.c.expires_at == seen.expires_at)
        )
        async with self._database.write() as connection:
            taken = await connection.execute(update(table).where(same).values(**columns(heir)))
            if not taken.rowcount:
                return False
            if ending is not None:
                others = table.c.name.startswith(ending, autoescape=True)
                gone = delete(table).where(table.c.holder == seen.holder, others)
                await connection.execute(gone)
            return True

    async def give_back(self, name: str, holder: str) -> None:
        """End a lease before its time; one that is somebody else's stays."""
        table = tables.leases
        mine = (table.c.name == name) & (table.c.holder == holder)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(mine))


async def require(connection: AsyncConnection, name: str, holder: str) -> None:
    """Keep a lease from being taken until the transaction ends.

    Raises:
        LostLease: It is not the holder's.
    """
    table = tables.leases
    query = select(table).where(table.c.name == name).with_for_update()
    found = await fetch_first(connection, query, Lease)
    if found is None or found.holder != holder:
        raise LostLease(name, holder)
