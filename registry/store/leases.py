"""The right of one process, for a short time, to do what only one may do.

It refuses to know what that is. A holder that is killed loses the right when its time is over.
"""

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from registry.records import Lease
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import columns, fetch_first


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

    async def give_back(self, name: str, holder: str) -> None:
        """End a lease before its time; one that is somebody else's stays."""
        table = tables.leases
        mine = (table.c.name == name) & (table.c.holder == holder)
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(mine))
