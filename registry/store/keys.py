"""API keys' records.

It refuses to know the secrets: only their hashes are stored.
"""

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from registry.errors import NotFound
from registry.records import ApiKey
from registry.store import tables
from registry.store.database import Database
from registry.store.rows import add, fetch_all


class Keys:
    """The records of API keys."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey) -> None:
        """Store a new key."""
        async with self._database.write() as connection:
            await add(connection, tables.api_keys, key)

    async def add_first(self, key: ApiKey) -> bool:
        """Store the very first key, and return whether it is; later ones are not stored.

        The caller gives it a fixed id: of two processes that both see no key, one stores it.
        """
        try:
            async with self._database.write() as connection:
                query = select(func.count()).select_from(tables.api_keys)
                if (await connection.execute(query)).scalar_one():
                    return False
                await add(connection, tables.api_keys, key)
        except IntegrityError:
            return False
        return True

    async def valid(self) -> list[ApiKey]:
        """Return every key that was not revoked."""
        table = tables.api_keys
        query = select(table).where(table.c.revoked_at.is_(None)).order_by(table.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, ApiKey)

    async def count(self) -> int:
        """Return how many keys were ever made."""
        async with self._database.read() as connection:
            query = select(func.count()).select_from(tables.api_keys)
            return (await connection.execute(query)).scalar_one()

    async def revoke(self, identifier: str, *, project: str, at: int) -> None:
        """Revoke a key; a second call changes nothing.

        Raises:
            NotFound: The project has no such key.
        """
        table = tables.api_keys
        chosen = (table.c.id == identifier) & (table.c.project == project)
        async with self._database.write() as connection:
            moment = func.coalesce(table.c.revoked_at, at)
            done = await connection.execute(update(table).where(chosen).values(revoked_at=moment))
            if not done.rowcount:
                raise NotFound("API key", identifier)
