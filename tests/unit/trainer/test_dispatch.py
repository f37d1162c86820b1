"""Which jobs are handed to the queue, and how often."""

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from registry.lifecycle import JobStatus
from registry.records import FineTuningJob, JobEvent
from registry.store import Store
from tests.records import fine_tuning_job
from trainer.dispatch import Dispatcher, Stage, Task, turns
from trainer.metrics import TrainerMetrics

Handed = list[tuple[Stage, str]]


class FakeQueue:
    """Remembers what it was handed; refuses once when told to."""

    def __init__(self) -> None:
        self.handed: Handed = []
        self.refuses = False

    async def enqueue(self, task: Task, _place: int) -> None:
        """Take a stage."""
        if self.refuses:
            self.refuses = False
            raise ConnectionError
        self.handed.append((task.stage, task.job_id))


@pytest.fixture
def queue() -> FakeQueue:
    """Return an empty queue."""
    return FakeQueue()


@pytest.fixture
def registry() -> CollectorRegistry:
    """Return a registry of metrics of the test's own."""
    return CollectorRegistry()


@pytest.fixture
def new_dispatcher(
    store: Store, queue: FakeQueue, registry: CollectorRegistry
) -> Callable[[], Dispatcher]:
    """Return a way to make a dispatcher, as each start of the trainer does."""
    metrics = TrainerMetrics(registry)
    return lambda: Dispatcher(store, queue.enqueue, metrics)


async def add_job(store: Store, identifier: str) -> None:
    """Store a new job."""
    job = fine_tuning_job(identifier)
    event = JobEvent(
        id=f"ftevent-{identifier}", job_id=identifier, created_at=1, level="info", message="Made."
    )
    await store.jobs.add(job, event)


async def test_new_job_is_validated(
    store: Store, queue: FakeQueue, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """A new job is handed over for validation, once."""
    await add_job(store, "ftjob-1")
    dispatcher = new_dispatcher()
    await dispatcher.look()
    await dispatcher.look()
    assert queue.handed == [(Stage.VALIDATE, "ftjob-1")]


async def test_queued_job_is_trained(
    store: Store, queue: FakeQueue, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """A job that passed validation is handed over for training, and not again once it runs."""
    await add_job(store, "ftjob-1")
    dispatcher = new_dispatcher()
    await dispatcher.look()
    await store.jobs.move("ftjob-1", JobStatus.QUEUED)
    await dispatcher.look()
    await store.jobs.move("ftjob-1", JobStatus.RUNNING)
    await dispatcher.look()
    assert queue.handed == [(Stage.VALIDATE, "ftjob-1"), (Stage.TRAIN, "ftjob-1")]


async def test_restart_hands_over_again(
    store: Store, queue: FakeQueue, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """A trainer that starts again hands over what is unfinished; the queue knows it by name."""
    await add_job(store, "ftjob-1")
    await new_dispatcher().look()
    await new_dispatcher().look()
    assert queue.handed == [(Stage.VALIDATE, "ftjob-1")] * 2


async def test_cancelled_job_is_left_alone(
    store: Store, queue: FakeQueue, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """A job that was cancelled before the trainer saw it is not handed over."""
    await add_job(store, "ftjob-1")
    await store.jobs.move("ftjob-1", JobStatus.CANCELLED)
    await new_dispatcher().look()
    assert queue.handed == []


async def test_failed_hand_over_is_repeated(
    store: Store, queue: FakeQueue, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """A job that the queue did not take is offered again."""
    await add_job(store, "ftjob-1")
    dispatcher = new_dispatcher()
    queue.refuses = True
    with pytest.raises(ConnectionError):
        await dispatcher.look()
    await dispatcher.look()
    assert queue.handed == [(Stage.VALIDATE, "ftjob-1")]


async def test_jobs_are_counted_by_status(
    store: Store, registry: CollectorRegistry, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """Prometheus sees every status, those without jobs as 0."""
    await add_job(store, "ftjob-1")
    await new_dispatcher().look()
    assert registry.get_sample_value("graftline_jobs", {"status": "validating_files"}) == 1
    assert registry.get_sample_value("graftline_jobs", {"status": "failed"}) == 0


def waiting(project: str, number: int, status: JobStatus = JobStatus.QUEUED) -> FineTuningJob:
    """Return a job of a project, queued unless said otherwise."""
    return fine_tuning_job(f"{project}{number}", project=project, status=status)


def test_projects_take_turns() -> None:
    """A project that asks once comes before the second job of one that asked for many."""
    jobs = [*(waiting("a", number) for number in range(3)), waiting("b", 0)]
    order = [turn.task.job_id for turn in turns(jobs, limit=None)]
    assert order == ["a0", "b0", "a1", "a2"]


def test_a_projects_jobs_beyond_its_limit_wait() -> None:
    """Running jobs count first, paused ones not at all, and other projects are not held up."""
    jobs = [
        waiting("a", 0, JobStatus.PAUSED),
        waiting("a", 1),
        waiting("a", 2, JobStatus.RUNNING),
        waiting("a", 3),
        waiting("b", 0),
    ]
    assert [turn.task.job_id for turn in turns(jobs, limit=2)] == ["a2", "b0", "a1"]


async def test_a_resumed_job_is_handed_over_again(
    store: Store, queue: FakeQueue, new_dispatcher: Callable[[], Dispatcher]
) -> None:
    """A pause ends its task; the resumed job is another one, which the queue does not know yet."""
    await add_job(store, "ftjob-1")
    dispatcher = new_dispatcher()
    for status in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.QUEUED):
        await store.jobs.move("ftjob-1", status)
        await dispatcher.look()
    assert queue.handed == [(Stage.TRAIN, "ftjob-1")] * 2
    assert (await store.jobs.get("ftjob-1")).attempt == 1
