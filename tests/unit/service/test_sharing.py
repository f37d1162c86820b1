"""What service processes tell one another, and which of them may take things away."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from registry.settings import Settings
from registry.store import Store, open_store
from service.demand import Demand
from service.metrics import ServiceMetrics
from service.sharing import LEASE_SECONDS, LIVE_SECONDS, Sharing


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Open a real store."""
    opened = await open_store(Settings(data_dir=tmp_path))
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    """Return the clock of all processes."""
    return Clock()


def process(name: str, store: Store, clock: Clock) -> tuple[Sharing, Demand]:
    """Return a process and its demand."""
    demand = Demand(ServiceMetrics(CollectorRegistry()), clock=clock)
    return Sharing(store, demand, process=name, clock=clock, steady=clock), demand


def leads(sharing: Sharing) -> bool:
    """Return whether a process may take things away now."""
    return sharing.leads


async def test_one_process_alone_leads(store: Store, clock: Clock) -> None:
    """From its first statement on."""
    one, _ = process("one", store, clock)
    assert not leads(one)
    await one.once()
    assert leads(one)
    assert one.others.count == 0


async def test_only_one_of_two_leads(store: Store, clock: Clock) -> None:
    """The first one, as long as it renews."""
    one, _ = process("one", store, clock)
    two, _ = process("two", store, clock)
    for _ in range(10):
        await one.once()
        await two.once()
        assert (leads(one), leads(two)) == (True, False)
        clock.now += 1


async def test_a_dead_leader_is_followed_by_another(store: Store, clock: Clock) -> None:
    """Once its lease is over on every clock; it stops leading before that."""
    one, _ = process("one", store, clock)
    two, _ = process("two", store, clock)
    await one.once()
    clock.now += LEASE_SECONDS + 0.1
    assert not leads(one)
    await two.once()
    assert not leads(two)
    clock.now += 2
    await two.once()
    assert leads(two)


async def test_a_leader_that_stops_hands_on_at_once(store: Store, clock: Clock) -> None:
    """Nobody waits for the lease to end."""
    one, _ = process("one", store, clock)
    two, _ = process("two", store, clock)
    await one.once()
    await one.leave()
    await two.once()
    assert leads(two)
    assert two.others.count == 0


async def test_use_in_one_process_is_known_to_the_others(store: Store, clock: Clock) -> None:
    """In flight, waited for, and used last."""
    one, demand = process("one", store, clock)
    two, _ = process("two", store, clock)
    demand.hold("a")
    demand.hold("b")
    demand.release("b")
    with demand.wait("c"):
        await one.once()
    await two.once()
    assert two.others.count == 1
    assert two.others.in_flight == {"a": 1, "b": 0, "c": 1}
    assert two.others.used["b"] == clock.now


async def test_a_dead_process_uses_nothing(store: Store, clock: Clock) -> None:
    """After a few seconds of silence."""
    one, demand = process("one", store, clock)
    two, _ = process("two", store, clock)
    demand.hold("a")
    await one.once()
    clock.now += LIVE_SECONDS + 0.1
    await two.once()
    assert (two.others.count, two.others.in_flight) == (0, {})


async def test_a_long_request_is_told_as_long_as_it_lasts(store: Store, clock: Clock) -> None:
    """However long ago it began."""
    one, demand = process("one", store, clock)
    two, _ = process("two", store, clock)
    demand.hold("a")
    clock.now += 500
    await one.once()
    await two.once()
    assert two.others.in_flight == {"a": 1}


def test_a_finished_and_deleted_model_is_forgotten(clock: Clock) -> None:
    """One that is in flight is not."""
    demand = Demand(ServiceMetrics(CollectorRegistry()), clock=clock)
    for name in ("kept", "gone", "busy"):
        demand.hold(name)
        demand.release(name)
    demand.hold("busy")
    demand.keep_only({"kept"})
    assert set(demand.used) == {"kept", "busy"}
    assert set(demand.in_flight) == {"kept", "busy"}
