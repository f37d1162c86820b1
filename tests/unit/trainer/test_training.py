"""What the trainer makes of its child: paused, cancelled, out of memory, beyond a limit."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from registry.errors import TrainingFailed
from registry.lifecycle import JobStatus
from registry.planning.memory import Footprint
from registry.records import FineTuningJob, JobEvent
from registry.settings import Settings
from registry.store import Store
from tests.fakes.training_child import FakeChild, FakeChildren
from tests.records import fine_tuning_job
from trainer import footprints
from trainer.child import EXIT_OUT_OF_MEMORY
from trainer.footprints import Taken
from trainer.metrics import TrainerMetrics
from trainer.protocol import Failure
from trainer.training import Cancelled, Paused, Training
from trainer.workplace import Workplace

JOB = "ftjob-1"


@pytest.fixture
async def job(store: Store) -> FineTuningJob:
    """Return a job that runs."""
    found = fine_tuning_job(JOB, status=JobStatus.RUNNING)
    event = JobEvent(id="ftevent-1", job_id=JOB, created_at=1, level="info", message="Made.")
    await store.jobs.add(found, event)
    return found


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """Return the job's folder, whose run takes 4,096 tokens at a time."""
    found = Workplace(tmp_path / JOB)
    found.root.mkdir()
    footprints.keep(found, Taken(footprint=Footprint(), longest=1500))
    return found


def nothing(_number: int, _place: Workplace) -> None:
    """Begin without a trace."""


def new_training(
    store: Store,
    children: Sequence[FakeChild],
    begin: Callable[[int, Workplace], None] = nothing,
    **limits: Any,
) -> Training:
    """Return a training whose children are fakes."""
    settings = Settings(**limits)
    metrics = TrainerMetrics(CollectorRegistry())
    start: Any = FakeChildren(children, begin)
    return Training(settings, store, metrics, start=start)


def ends_at(last: int) -> Callable[[int, Workplace], None]:
    """Return what lets the child of a number write an outcome."""

    def begin(number: int, place: Workplace) -> None:
        if number == last:
            outcome = Failure(code="done", message="It is over.")
            place.outcome.write_bytes(msgspec.json.encode(outcome))

    return begin


async def moved_meanwhile(
    store: Store, training: Training, place: Workplace, job: FineTuningJob, *states: JobStatus
) -> None:
    """Train, and move the job once the child runs."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(training.run(job, place))
        await asyncio.sleep(0.05)
        for state in states:
            await store.jobs.move(JOB, state)


@pytest.mark.parametrize("others_see_first", [False, True])
async def test_a_paused_jobs_child_saves_and_ends(
    store: Store,
    job: FineTuningJob,
    place: Workplace,
    others_see_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """It is asked to end, not killed, its end is no fault, and the folder stays for the resume."""
    child = FakeChild(others_see_first=others_see_first)
    with pytest.raises(ExceptionGroup) as caught:
        await moved_meanwhile(store, new_training(store, [child]), place, job, JobStatus.PAUSED)
    assert caught.group_contains(Paused)
    assert child.asked == ["stop"]
    assert place.root.exists()
    assert (await store.jobs.get(JOB)).child_deaths == 0


async def test_a_job_resumed_before_the_pause_was_seen_changes_hands(
    store: Store, job: FineTuningJob, place: Workplace
) -> None:
    """The running child belongs to an attempt that is over, whatever the status says."""
    child = FakeChild()
    states = (JobStatus.PAUSED, JobStatus.QUEUED, JobStatus.RUNNING)
    with pytest.raises(ExceptionGroup) as caught:
        await moved_meanwhile(store, new_training(store, [child]), place, job, *states)
    assert caught.group_contains(Paused)


async def test_a_cancelled_jobs_child_is_killed(
    store: Store, job: FineTuningJob, place: Workplace
) -> None:
    """Nobody wants its checkpoint."""
    child = FakeChild()
    with pytest.raises(ExceptionGroup) as caught:
        await moved_meanwhile(store, new_training(store, [child]), place, job, JobStatus.CANCELLED)
    assert caught.group_contains(Cancelled)
    assert child.asked == ["kill"]


async def test_memory_that_ran_out_halves_the_micro_batch(
    store: Store, job: FineTuningJob, place: Workplace
) -> None:
    """The job goes on with half at a time, says so, and the death is not counted."""
    children = [FakeChild(EXIT_OUT_OF_MEMORY), FakeChild(0)]
    with pytest.raises(TrainingFailed, match="It is over"):
        await new_training(store, children, ends_at(2)).run(job, place)
    assert footprints.recall(place) == Taken(footprint=Footprint(tokens=2048), longest=1500)
    events = await store.jobs.events(JOB, after=None, limit=5)
    assert "at most 2048 tokens at a time" in events.data[0].message
    assert (await store.jobs.get(JOB)).child_deaths == 0


async def test_memory_too_short_for_one_row_fails_the_job(
    store: Store, job: FineTuningJob, place: Workplace
) -> None:
    """Halving ends at one row at a time; then the job fails and says what helps."""
    children = [FakeChild(EXIT_OUT_OF_MEMORY) for _ in range(5)]
    training = new_training(store, children)
    with pytest.raises(TrainingFailed, match="one row at a time") as caught:
        await training.run(job, place)
    assert caught.value.code == "out_of_memory"
    found = footprints.recall(place)
    assert found is not None
    assert found.footprint.tokens == 1024


@pytest.mark.parametrize("others_see_first", [False, True])
async def test_a_child_beyond_its_memory_is_killed_and_takes_less(
    store: Store,
    job: FineTuningJob,
    place: Workplace,
    others_see_first: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The limit is treated like a machine without more memory."""
    children = [FakeChild(others_see_first=others_see_first), FakeChild(0)]
    training = new_training(store, children, ends_at(2), training_memory_bytes=1024 * 1024)
    with pytest.raises(TrainingFailed, match="It is over"):
        await training.run(job, place)
    assert children[0].asked == ["kill"]
    assert footprints.recall(place) == Taken(footprint=Footprint(tokens=2048), longest=1500)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"training_seconds": 0.1}, "time_limit_exceeded"),
        ({"training_disk_bytes": 1024 * 1024}, "disk_limit_exceeded"),
    ],
)
async def test_a_child_beyond_a_limit_fails_the_job(
    store: Store, job: FineTuningJob, place: Workplace, limits: dict[str, Any], code: str
) -> None:
    """It is killed, and the job's error has a code of its own."""
    (place.root / "large").write_bytes(bytes(2 * 1024 * 1024))
    child = FakeChild()
    with pytest.raises(TrainingFailed) as caught:
        await new_training(store, [child], **limits).run(job, place)
    assert caught.value.code == code
    assert child.asked == ["kill"]


async def test_the_time_of_earlier_children_counts(
    store: Store, job: FineTuningJob, place: Workplace
) -> None:
    """A job that is paused and resumed does not begin its time anew."""
    place.spent.write_bytes(b"3600.0")
    with pytest.raises(TrainingFailed) as caught:
        await new_training(store, [FakeChild()], training_seconds=3000).run(job, place)
    assert caught.value.code == "time_limit_exceeded"
