"""API keys' records.

It refuses to know the secrets: only their hashes are stored.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import NotFound
from registry.records import ApiKey
from registry.store import tables
from registry.store.database import Database
from registry.store.prepared import Prepared
from registry.store.rows import add, fetch_all, fetch_first

Check = Callable[[ApiKey, Sequence[ApiKey]], None]
"""Is given a key that is about to change and every key that was not revoked; raises to refuse."""


_VALID = Prepared(
    select(tables.api_keys)
    .where(tables.api_keys.c.revoked_at.is_(None))
    .order_by(tables.api_keys.c.seq)
)


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
        """Return every key that was not revoked, expired ones included."""
        table = tables.api_keys
        query = select(table).where(table.c.revoked_at.is_(None)).order_by(table.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, ApiKey)

    async def fingerprint(self) -> list[tuple[Any, ...]]:
        """Return what differs when `valid` does, in much less time; to be compared, not read."""
        return await self._database.look(_VALID)

    async def get(self, identifier: str) -> ApiKey:
        """Return a key that was not revoked, expired or not.

        Raises:
            NotFound: There is none.
        """
        async with self._database.read() as connection:
            return await _present(connection, identifier)

    async def change(
        self, identifier: str, *, check: Check | None = None, **changes: object
    ) -> ApiKey:
        """Change fields of a key that was not revoked, and return it.

        Args:
            identifier: The key.
            check: What must hold of all keys; nobody else changes any until this change is stored.
            changes: New values, by field.

        Raises:
            NotFound: There is none.
        """
        table = tables.api_keys
        async with self._database.write() as connection:
            present = await _checked(connection, identifier, check)
            if changes:
                await connection.execute(
                    update(table).where(table.c.id == identifier).values(**changes)
                )
            return msgspec.structs.replace(present, **changes)

    async def rotate(self, identifier: str, successor: ApiKey, *, expires_at: int) -> None:
        """Store a key's successor and let the key expire, in one transaction.

        A key that expires sooner already keeps its own end.

        Raises:
            NotFound: There is no such key, or it was revoked.
        """
        table = tables.api_keys
        async with self._database.write() as connection:
            present = await _present(connection, identifier)
            end = expires_at if present.expires_at is None else min(present.expires_at, expires_at)
            await add(connection, table, successor)
            await connection.execute(
                update(table).where(table.c.id == identifier).values(expires_at=end)
            )

    async def count(self) -> int:
        """Return how many keys were ever made."""
        async with self._database.read() as connection:
            query = select(func.count()).select_from(tables.api_keys)
            return (await connection.execute(query)).scalar_one()

    async def revoke(self, identifier: str, *, at: int, check: Check | None = None) -> None:
        """Revoke a key.

        Args:
            identifier: The key.
            at: Unix time in seconds.
            check: As in `change`.

        Raises:
            NotFound: There is no such key, or it was revoked.
        """
        table = tables.api_keys
        async with self._database.write() as connection:
            await _checked(connection, identifier, check)
            await connection.execute(
                update(table).where(table.c.id == identifier).values(revoked_at=at)
            )


async def _checked(connection: AsyncConnection, identifier: str, check: Check | None) -> ApiKey:
    """Return a key, once a check of all keys passed; until the end they stay as they are.

    PostgreSQL locks the rows, all in one order: two that check at once would else both find the
    other one's key, and together take away the last. SQLite has one writer at a time.
    """
    if check is None:
        return await _present(connection, identifier)
    table = tables.api_keys
    query = select(table).where(table.c.revoked_at.is_(None)).order_by(table.c.seq)
    keys = await fetch_all(connection, query.with_for_update(), ApiKey)
    for key in keys:
        if key.id == identifier:
            check(key, keys)
            return key
    raise NotFound("API key", identifier)


async def _present(connection: AsyncConnection, identifier: str) -> ApiKey:
    table = tables.api_keys
    query = select(table).where(table.c.id == identifier, table.c.revoked_at.is_(None))
    found = await fetch_first(connection, query.with_for_update(), ApiKey)
    if found is None:
        raise NotFound("API key", identifier)
    return found
