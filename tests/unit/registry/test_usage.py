"""Usage in the store, on each database."""

import msgspec

from registry.store import Store
from registry.store.usage import UsageGroup, UsageQuery, UsageSum
from tests.records import usage_row

ROW = usage_row()
QUERY = UsageQuery(start="2026-11-01", end="2026-11-30")


async def test_rows_of_one_group_are_added_up(store: Store) -> None:
    """The second batch adds to the first."""
    other = msgspec.structs.replace(ROW, key_id="key-2")
    await store.interactions.add_many([], [ROW])
    await store.interactions.add_many([], [other, ROW])
    query = msgspec.structs.replace(QUERY, group_by=(UsageGroup.KEY,))
    sums = await store.usage.sums(query, limit=10)
    assert [(one.key_id, one.requests, one.prompt_tokens) for one in sums] == [
        ("key-1", 4, 20),
        ("key-2", 2, 10),
    ]


async def test_days_outside_the_range_are_left_out(store: Store) -> None:
    """The range has both its ends in it."""
    days = ["2026-10-31", "2026-11-01", "2026-11-30", "2026-12-01"]
    rows = [msgspec.structs.replace(ROW, day=day) for day in days]
    await store.interactions.add_many([], rows)
    assert await store.usage.sums(QUERY, limit=10) == [
        UsageSum(project="p", requests=4, prompt_tokens=20, completion_tokens=10)
    ]
