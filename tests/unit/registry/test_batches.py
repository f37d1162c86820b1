"""Many rows at once: all of them, in order, or none, on both databases."""

from pathlib import Path

import pytest

from registry.errors import Unavailable
from registry.store import Store
from registry.store.batches import ROWS_A_TURN, ROWS_AT_ONCE, packed
from registry.store.database import Database
from registry.store.interactions import MANY_ROWS, Choice, Interactions
from tests.records import interaction, usage_row

LONG = 1000
"""Rows of a long batch."""


async def stored(interactions: Interactions) -> list[str]:
    """Return the ids that are stored, oldest first."""
    found: list[str] = []
    while True:
        after = found[-1] if found else None
        page = await interactions.page(Choice(project="p"), after=after, limit=100)
        found += [row.id for row in page.data]
        if not page.has_more:
            return found[::-1]


@pytest.mark.parametrize(
    "count",
    [
        1,
        ROWS_A_TURN - 1,
        ROWS_A_TURN,
        ROWS_A_TURN + 1,
        ROWS_AT_ONCE,
        ROWS_AT_ONCE + 1,
        MANY_ROWS - 1,
        MANY_ROWS,
        LONG,
        LONG + 1,
        LONG + 64,
    ],
)
async def test_every_row_is_stored_once_and_in_order(store: Store, count: int) -> None:
    """However many there are, and however they are cut into statements."""
    names = [f"r{number}" for number in range(count)]
    rows = [packed(interaction(name, project="p")) for name in names]
    await store.interactions.add_packed(rows)
    assert await stored(store.interactions) == names


async def test_a_full_disk_stores_nothing_of_a_batch(tmp_path: Path) -> None:
    """It is told as a database that is away, so the batch waits; with room it goes through."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'small.db'}")
    await database.migrate(tmp_path / "migrate.lock")
    interactions = Interactions(database)
    await interactions.add_many([interaction("first", project="p")])
    rows = [packed(interaction(f"r{number}", project="p")) for number in range(LONG)]
    await _limit(database, pages=1)  # which SQLite takes for as many as there are
    with pytest.raises(Unavailable, match="full"):
        await interactions.add_packed(rows, (), [usage_row()])
    assert await stored(interactions) == ["first"]
    await _limit(database, pages=1_000_000)
    await interactions.add_packed(rows, (), [usage_row()])
    assert len(await stored(interactions)) == 1 + LONG
    await database.close()


async def _limit(database: Database, *, pages: int) -> None:
    """Bound the file, for the one connection of an idle pool."""
    async with database.write() as connection:
        await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
