"""The migrations lead to the tables that the store describes."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from registry.store import Store
from registry.store.columns import metadata


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


async def test_the_newest_schema_is_the_one_described(store: Store) -> None:
    """A database that was migrated has every table, column and index, and no other."""
    async with store.database.engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
