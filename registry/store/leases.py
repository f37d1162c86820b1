"""The right of one process, for a short time, to do what only one may do.

It refuses to know what that is. A holder that is killed loses the right when its time is over.
"""

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import LostLease
from registry.records import Lease
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import columns, fetch_all, fetch_first


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
        table = tables.leases
        free = (table.c.holder == lease.holder) | (table.c.expires_at < now)
        renewal = update(table).where(table.c.name == lease.name, free).values(**columns(lease))
        try:
            async with self._database.write() as connection:
                if (await connection.execute(renewal)).rowcount:
                    return True
                query = select(table).where(table.c.name == lease.name)
                if await fetch_first(connection, query, Lease) is not None:
                    return False
                await connection.execute(insert(table).values(**columns(lease)))
        except IntegrityError:  # another process took it first
            return False
        return True

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
