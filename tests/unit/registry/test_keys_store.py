"""What holds of all keys together, on each database."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from registry.errors import Conflict, NotFound
from registry.records import ApiKey, Scope
from registry.store import Store
from tests.records import api_key


def key(number: int) -> ApiKey:
    """Return an admin key."""
    return api_key(f"key-{number}", secret_sha256=f"{number:064x}", scopes=[Scope.ADMIN])


def another_stays(chosen: ApiKey, keys: Sequence[ApiKey]) -> None:
    """Refuse to end the last key without an end."""
    if not any(one.id != chosen.id and one.expires_at is None for one in keys):
        raise Conflict


async def outcome(change: Awaitable[object]) -> str:
    """Return how a change ends."""
    try:
        await change
    except Conflict:
        return "refused"
    return "done"


@pytest.mark.parametrize("rounds", range(3))
async def test_changes_at_once_leave_the_last_key(store: Store, rounds: int) -> None:
    """Of six that are revoked or given an end at the same time, one is refused."""
    keys = [key(number) for number in range(6)]
    for one in keys:
        await store.keys.add(one)
    changes: list[Awaitable[object]] = [
        store.keys.revoke(one.id, at=2, check=another_stays)
        if (number + rounds) % 2
        else store.keys.change(one.id, check=another_stays, expires_at=9)
        for number, one in enumerate(keys)
    ]
    async with asyncio.TaskGroup() as group:
        outcomes = [group.create_task(outcome(change)) for change in changes]
    assert sorted(each.result() for each in outcomes) == [*["done"] * 5, "refused"]
    left = [one for one in await store.keys.valid() if one.expires_at is None]
    assert len(left) == 1


async def test_a_key_is_revoked_once(store: Store) -> None:
    """The second time there is no such key."""
    await store.keys.add(key(1))
    await store.keys.revoke("key-1", at=2)
    for check in (None, another_stays):
        with pytest.raises(NotFound):
            await store.keys.revoke("key-1", at=3, check=check)


async def test_the_fingerprint_differs_whenever_the_valid_keys_do(store: Store) -> None:
    """Each change of a key is one; a look without any is none."""
    await store.keys.add(key(1))
    seen = [await store.keys.fingerprint()]

    async def differs() -> bool:
        seen.append(await store.keys.fingerprint())
        return seen[-1] != seen[-2]

    assert not await differs()
    for changes in (
        {"name": "other"},
        {"scopes": [Scope.TRAINING]},
        {"requests_per_minute": 1},
        {"tokens_per_minute": 1},
        {"expires_at": 9},
        {"expires_at": None},
    ):
        await store.keys.change("key-1", **changes)
        assert await differs(), changes
    await store.keys.add(key(2))
    assert await differs()
    await store.keys.revoke("key-1", at=2)
    assert await differs()
    assert not await differs()
