"""What service processes tell one another: statements of use, leases and pins."""

import asyncio

import pytest

from registry.errors import Conflict, NotFound
from registry.lifecycle import AdapterStatus
from registry.records import AdapterUse, Lease
from registry.store import Store
from tests.service_api import add_version


def use(process: str, adapter: str, *, said_at: float, in_flight: int = 1) -> AdapterUse:
    """Return a statement."""
    return AdapterUse(
        process=process,
        adapter=adapter,
        in_flight=in_flight,
        last_used_at=said_at,
        said_at=said_at,
    )


def lease(holder: str, expires_at: float) -> Lease:
    """Return a lease on one thing."""
    return Lease(name="adapters", holder=holder, expires_at=expires_at)


async def test_a_statement_takes_the_place_of_the_last(store: Store) -> None:
    """What a process does not say any more is gone."""
    await store.uses.say(
        "one", [use("one", "a", said_at=1), use("one", "b", said_at=1)], forget_before=0
    )
    await store.uses.say("one", [use("one", "b", said_at=2)], forget_before=0)
    assert [(said.adapter, said.said_at) for said in await store.uses.live(since=0)] == [("b", 2)]


async def test_an_old_statement_is_not_heard(store: Store) -> None:
    """Only those from a time on are returned."""
    await store.uses.say("one", [use("one", "a", said_at=1)], forget_before=0)
    await store.uses.say("two", [use("two", "a", said_at=9)], forget_before=0)
    assert [said.process for said in await store.uses.live(since=5)] == ["two"]


async def test_statements_of_dead_processes_are_swept(store: Store) -> None:
    """By whoever speaks next."""
    await store.uses.say("dead", [use("dead", "a", said_at=1)], forget_before=0)
    await store.uses.say("alive", [use("alive", "a", said_at=9)], forget_before=5)
    assert [said.process for said in await store.uses.live(since=0)] == ["alive"]


async def test_a_process_that_leaves_takes_its_statement_along(store: Store) -> None:
    """And nobody else's."""
    for name in ("one", "two"):
        await store.uses.say(name, [use(name, "a", said_at=1)], forget_before=0)
    await store.uses.leave("one")
    assert [said.process for said in await store.uses.live(since=0)] == ["two"]


async def test_a_lease_has_one_holder(store: Store) -> None:
    """Another one gets it only once its time is over."""
    assert await store.leases.take(lease("one", 10), now=5)
    assert not await store.leases.take(lease("two", 11), now=6)
    assert await store.leases.take(lease("two", 16), now=11)
    assert not await store.leases.take(lease("one", 17), now=12)


async def test_a_holder_renews_its_lease(store: Store) -> None:
    """So that it keeps it as long as it lives."""
    assert await store.leases.take(lease("one", 10), now=5)
    assert await store.leases.take(lease("one", 15), now=9)
    assert not await store.leases.take(lease("two", 20), now=12)


async def test_a_lease_that_is_given_back_is_free_at_once(store: Store) -> None:
    """But only its holder can give it back."""
    await store.leases.take(lease("one", 10), now=5)
    await store.leases.give_back("adapters", "two")
    assert not await store.leases.take(lease("two", 10), now=5)
    await store.leases.give_back("adapters", "one")
    assert await store.leases.take(lease("two", 10), now=5)


async def test_of_many_that_want_a_lease_one_gets_it(store: Store) -> None:
    """Whoever comes first; nobody fails."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(store.leases.take(lease(f"p{number}", 10), now=5))
            for number in range(8)
        ]
    assert sum(task.result() for task in tasks) == 1


async def test_a_pin_is_kept_until_it_is_taken_off(store: Store) -> None:
    """A second call changes nothing."""
    version = await add_version(store)
    for pinned in (True, True, False):
        changed = await store.adapters.pin(version.name, project="default", pinned=pinned)
        stored = await store.adapters.get(version.name)
        assert (changed.pinned, stored.pinned) == (pinned, pinned)


async def test_another_projects_version_cannot_be_pinned(store: Store) -> None:
    """It is not found."""
    version = await add_version(store)
    with pytest.raises(NotFound):
        await store.adapters.pin(version.name, project="other", pinned=True)


async def test_a_version_that_cannot_serve_is_not_pinned(store: Store) -> None:
    """But its pin can be taken off."""
    version = await add_version(store, status=AdapterStatus.REJECTED)
    with pytest.raises(Conflict, match="rejected"):
        await store.adapters.pin(version.name, project="default", pinned=True)
    await store.adapters.pin(version.name, project="default", pinned=False)
