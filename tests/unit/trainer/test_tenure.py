"""Which trainer may work on what: leases, silence and inheritance, on each database."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry.errors import LostLease
from registry.lifecycle import JobStatus
from registry.records import JobEvent, Lease
from registry.store import Store
from registry.store.jobs import lease_of
from tests.postgres import DATABASES, store_on
from tests.records import fine_tuning_job
from trainer.tenure import SILENCE_SECONDS, Tenure

JOB = "ftjob-1"


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class Heir:
    """A trainer that looks at the others, on a clock of its own."""

    def __init__(self, store: Store) -> None:
        self.clock = Clock()
        self.tenure = Tenure(store, "heir", steady=self.clock)
        self.buried: list[str] = []

    async def bury(self, name: str) -> None:
        """Remember whose work was handed on."""
        self.buried.append(name)

    async def wait(self, seconds: float) -> None:
        """Look twice, so many seconds apart."""
        await self.tenure.look(self.bury)
        self.clock.now += seconds
        await self.tenure.look(self.bury)


@pytest.fixture(params=DATABASES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a real store, on each database in turn."""
    async with store_on(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def heir(store: Store) -> Heir:
    """Return a trainer that lives."""
    found = Heir(store)
    await found.tenure.enter()
    return found


@pytest.fixture
async def other(store: Store) -> Tenure:
    """Return another trainer, which works on a running job."""
    await store.jobs.add(
        fine_tuning_job(JOB, status=JobStatus.RUNNING),
        JobEvent(id="ftevent-1", job_id=JOB, created_at=1, level="info", message="Made."),
    )
    tenure = Tenure(store, "other")
    await tenure.enter()
    return tenure


async def test_a_job_has_one_trainer_at_a_time(heir: Heir, other: Tenure) -> None:
    """A second one waits until the first lets go."""
    order = []

    async def second() -> None:
        async with heir.tenure.of(JOB):
            order.append("second")

    async with asyncio.TaskGroup() as tasks, other.of(JOB):
        tasks.create_task(second())
        await asyncio.sleep(0.5)
        order.append("first")
    assert order == ["first", "second"]


async def test_two_stages_of_one_trainer_wait_for_each_other(other: Tenure) -> None:
    """The same trainer never works on a job twice at a time either."""
    async with other.of(JOB):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5), other.of(JOB):
                pytest.fail("both are inside")


async def test_a_silent_trainer_is_inherited_from(heir: Heir, other: Tenure) -> None:
    """What it did is handed on, and its leases end."""
    async with other.of(JOB):
        await heir.wait(SILENCE_SECONDS)
        assert heir.buried == ["other"]
        async with asyncio.timeout(1), heir.tenure.of(JOB):
            pass


async def test_a_trainer_that_is_heard_of_keeps_what_it_has(heir: Heir, other: Tenure) -> None:
    """Silence is counted from the last renewal."""
    await heir.tenure.look(heir.bury)
    heir.clock.now += SILENCE_SECONDS - 1
    await other.renew()
    await heir.wait(SILENCE_SECONDS - 1)
    assert heir.buried == []


async def test_whoever_was_taken_for_dead_stops(heir: Heir, other: Tenure) -> None:
    """Its work is cancelled at its next renewal, and it learns that it must start again."""

    async def work() -> None:
        async with other.of(JOB):
            await heir.wait(SILENCE_SECONDS)
            with pytest.raises(LostLease):
                await other.renew()
            await asyncio.sleep(5)

    with pytest.raises(LostLease, match=JOB):
        await work()


async def test_whoever_lost_its_lease_publishes_nothing(
    heir: Heir, other: Tenure, store: Store
) -> None:
    """The store refuses a move by a trainer that is not the job's any more."""
    async with other.of(JOB):
        await store.jobs.change(JOB, child_deaths=0)
        await heir.wait(SILENCE_SECONDS)
        with pytest.raises(LostLease):
            await store.jobs.move(JOB, JobStatus.FAILED, holder=other.name)
        with pytest.raises(LostLease):
            await other.confirm(JOB)
    assert (await store.jobs.get(JOB)).status is JobStatus.RUNNING


async def test_an_inheritance_that_fails_is_made_up_for(heir: Heir, other: Tenure) -> None:
    """A queue that was away when a trainer died hears of it at the next look."""

    async def fail(_name: str) -> None:
        raise ConnectionError

    await other.renew()
    await heir.tenure.look(heir.bury)
    heir.clock.now += SILENCE_SECONDS
    with pytest.raises(ConnectionError):
        await heir.tenure.look(fail)
    await heir.tenure.look(heir.bury)
    assert heir.buried == ["other"]
    async with asyncio.timeout(1):
        await other.enter()


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("hours", [-24, 24])
async def test_clocks_that_differ_give_nobody_anothers_job(
    heir: Heir, store: Store, hours: int
) -> None:
    """A holder whose clock is a day off keeps its job while it renews, and no longer."""
    ends_at = time.time() + 3600 * hours
    await store.leases.take(Lease(name=lease_of(JOB), holder="off", expires_at=ends_at), now=0.0)
    order: list[str] = []

    async def wait_for_it() -> None:
        async with heir.tenure.of(JOB):
            order.append("heir")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(wait_for_it())
        for beat in range(1, 4):
            await asyncio.sleep(0.5)  # the heir has looked meanwhile
            await store.leases.renew("off", expires_at=ends_at + beat)
            heir.clock.now += SILENCE_SECONDS - 1
        await asyncio.sleep(0.5)
        order.append("silence")
        heir.clock.now += SILENCE_SECONDS
    assert order == ["silence", "heir"]
    with pytest.raises(LostLease):
        await store.jobs.move(JOB, JobStatus.RUNNING, holder="off")


async def test_of_two_heirs_one_inherits(store: Store, heir: Heir, other: Tenure) -> None:
    """Both saw the same silence; the dead one's work is handed on once."""
    second = Heir(store)
    second.tenure = Tenure(store, "second", steady=second.clock)
    await second.tenure.enter()
    for each in (heir, second):
        await each.tenure.look(each.bury)
        each.clock.now += SILENCE_SECONDS - 1
    await heir.tenure.renew()
    await second.tenure.renew()
    for each in (heir, second):
        each.clock.now += 1
    async with asyncio.TaskGroup() as tasks:
        for each in (heir, second):
            tasks.create_task(each.tenure.look(each.bury))
    assert [*heir.buried, *second.buried] == [other.name]
