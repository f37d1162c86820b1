"""The replicas of now, and the pick of one for a request."""

from collections.abc import Sequence
from functools import partial

import pytest
from prometheus_client import CollectorRegistry

from service.fleet.discovery import Discovery
from service.fleet.fleet import Fleet
from service.fleet.health import EJECT_AFTER, EJECT_AFTER_ERRORS, Failure, Standing, probed
from service.fleet.replica import MAX_REMEMBERED_ROWS, Baseline, Replica
from service.metrics import ServiceMetrics
from service.vllm import Engine

BASE = "tiny-base"
NAME = "ft:tiny-base:default:x:1"


class Clock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Names:
    """A name server."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)

    async def lookup(self, _host: str, _port: int) -> Sequence[str]:
        """Answer."""
        return self.addresses


def fleet_of(names: Names, clock: Clock | None = None) -> Fleet:
    """Return a fleet whose replicas a name server names."""
    discovery = Discovery((), "http://vllm:8000", names.lookup)
    metrics = ServiceMetrics(CollectorRegistry())
    make_engine = partial(Engine, key=None, deadline_seconds=1)
    return Fleet(discovery, make_engine, metrics, clock=clock or Clock())


@pytest.fixture
async def fleet() -> Fleet:
    """Return a fleet of three replicas that answer and hold one version."""
    made = fleet_of(Names("10.0.0.1", "10.0.0.2", "10.0.0.3"))
    await made.open()
    for replica in made.replicas:
        up(made, replica)
        replica.serving = frozenset({NAME})
    made.changed()
    return made


def up(fleet: Fleet, replica: Replica, now: float = 100.0) -> None:
    """Have a replica answer a probe."""
    fleet.judge(replica, probed(replica.health, answered=True, now=now))


def is_open(replica: Replica) -> bool:
    """Return whether a replica's connections are kept."""
    return replica.engine._session is not None


async def test_a_replica_that_was_never_seen_gets_nothing() -> None:
    """Not even for the base model."""
    fleet = fleet_of(Names("10.0.0.1"))
    await fleet.open()
    assert fleet.pick(BASE, is_base=True) is None
    await fleet.close()


async def test_the_least_busy_replica_is_picked(fleet: Fleet) -> None:
    """By requests of this process."""
    first, second, third = fleet.replicas
    first.outstanding, second.outstanding, third.outstanding = 2, 1, 3
    assert fleet.pick(NAME, is_base=False) is second
    await fleet.close()


async def test_a_version_is_asked_only_where_it_is_served(fleet: Fleet) -> None:
    """However busy that replica is."""
    first, second, third = fleet.replicas
    second.serving = third.serving = frozenset()
    first.outstanding = 50
    fleet.changed()
    assert fleet.pick(NAME, is_base=False) is first
    assert fleet.pick(BASE, is_base=True) is not first
    await fleet.close()


async def test_a_replica_that_failed_the_request_is_left_out(fleet: Fleet) -> None:
    """And when all failed there is none."""
    first, second, third = fleet.replicas
    assert fleet.pick(NAME, is_base=False, tried={first, third}) is second
    assert fleet.pick(NAME, is_base=False, tried={first, second, third}) is None
    await fleet.close()


async def test_a_prefix_keeps_its_replica(fleet: Fleet) -> None:
    """Among equally busy ones, time after time."""
    assert len({fleet.pick(NAME, is_base=False, key_of=lambda _: 1234) for _ in range(20)}) == 1
    assert len({fleet.pick(NAME, is_base=False) for _ in range(50)}) == 3
    await fleet.close()


async def test_a_refused_connection_takes_everything_from_a_replica(fleet: Fleet) -> None:
    """It is believed to hold nothing, is looked at now, and gets no request."""
    first, *_ = fleet.replicas
    first.observed = first.examined = {NAME: "/x"}
    fleet.note_failure(first, Failure.UNREACHABLE)
    assert (first.observed, first.examined, first.serving) == ({}, {}, frozenset())
    assert first.woken.is_set()
    assert first not in {fleet.pick(NAME, is_base=False) for _ in range(50)}
    await fleet.close()


async def test_an_ejected_replica_answers_only_when_no_other_can(fleet: Fleet) -> None:
    """A doubtful answer is better than none."""
    first, second, third = fleet.replicas
    for _ in range(EJECT_AFTER):
        fleet.note_failure(first, Failure.INTERRUPTED)
    assert first.health.standing is Standing.EJECTED
    assert first not in {fleet.pick(NAME, is_base=False) for _ in range(50)}
    for other in (second, third):
        fleet.note_failure(other, Failure.UNREACHABLE)
    assert fleet.pick(NAME, is_base=False) is first
    await fleet.close()


async def test_an_answer_wipes_the_count_of_failures(fleet: Fleet) -> None:
    """Only interruptions in a row eject."""
    first, *_ = fleet.replicas
    for _ in range(EJECT_AFTER):
        fleet.note_failure(first, Failure.INTERRUPTED)
        fleet.note_answer(first, 200)
    assert first.is_up
    await fleet.close()


@pytest.mark.parametrize(("replicas", "ejected"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
async def test_server_errors_eject_half_of_the_replicas_at_most(
    replicas: int, ejected: int
) -> None:
    """A request that every replica fails on does not stop the service."""
    fleet = fleet_of(Names(*(f"10.0.0.{number}" for number in range(replicas))))
    await fleet.open()
    for replica in fleet.replicas:
        up(fleet, replica)
    for _ in range(EJECT_AFTER_ERRORS):
        for replica in fleet.replicas:
            fleet.note_answer(replica, 500)
    assert sum(not replica.is_up for replica in fleet.replicas) == ejected
    await fleet.close()


async def test_replicas_come_and_go_with_the_lookup() -> None:
    """One that vanished gets nothing, and its metrics end; one that stays keeps what is known."""
    names = Names("10.0.0.1", "10.0.0.2")
    fleet = fleet_of(names)
    await fleet.open()
    stays, goes = fleet.replicas
    for replica in (stays, goes):
        up(fleet, replica)
        fleet._metrics.engine_up.labels(replica.name).set(1)
    goes.outstanding = 1
    names.addresses = ["10.0.0.1", "10.0.0.9"]
    await fleet.refresh()
    assert fleet.replicas[0] is stays
    assert [one.name for one in fleet.replicas] == ["10.0.0.1:8000", "10.0.0.9:8000"]
    assert {fleet.pick(BASE, is_base=True) for _ in range(20)} == {stays}
    sample = fleet._metrics.registry.get_sample_value
    assert sample("graftline_engine_up", {"replica": goes.name}) is None
    assert is_open(goes)  # its last request goes on
    goes.outstanding = 0
    await fleet.refresh()
    assert not is_open(goes)
    await fleet.close()


class Counting:
    """An engine that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def prompt_logprobs(self, _model: str, token_ids: list[int]) -> list[float]:
        """Return a figure for each token after the first."""
        self.asked += 1
        return [-1.0] * (len(token_ids) - 1)


async def test_the_base_model_is_asked_once_for_a_row() -> None:
    """Until the replica is believed to be another one."""
    engine = Counting()
    baseline = Baseline(engine)  # type: ignore[arg-type] # a fake of the one method it uses
    for _ in range(3):
        assert await baseline.base_logprobs(BASE, [1, 2, 3]) == [-1.0, -1.0]
    assert engine.asked == 1
    baseline.clear()
    await baseline.base_logprobs(BASE, [1, 2, 3])
    assert engine.asked == 2


async def test_only_so_many_rows_are_remembered() -> None:
    """Memory has a bound; the oldest row goes."""
    engine = Counting()
    baseline = Baseline(engine)  # type: ignore[arg-type] # a fake of the one method it uses
    for token in range(MAX_REMEMBERED_ROWS + 1):
        await baseline.base_logprobs(BASE, [1, token])
    assert len(baseline._known) == MAX_REMEMBERED_ROWS
    await baseline.base_logprobs(BASE, [1, MAX_REMEMBERED_ROWS])
    assert engine.asked == MAX_REMEMBERED_ROWS + 1
