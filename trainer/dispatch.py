"""Finds jobs in the store and hands each stage to the queue.

It refuses to know the queue and the stages. A job's row is the message: nobody has to tell the
trainer, and a hand-over that a crash or another trainer repeats is one hand-over, because the queue
knows its name.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum

from registry.errors import Unavailable
from registry.lifecycle import JobStatus
from registry.records import FineTuningJob, Record
from registry.store import Store
from trainer.metrics import TrainerMetrics

DISPATCH_SECONDS = 0.5
"""Time between two looks at the store."""

logger = logging.getLogger(__name__)


class Stage(StrEnum):
    """What is done with a job in one go."""

    VALIDATE = "validate"
    TRAIN = "train"


STAGES = {
    JobStatus.VALIDATING_FILES: Stage.VALIDATE,
    JobStatus.QUEUED: Stage.TRAIN,
    JobStatus.RUNNING: Stage.TRAIN,
}
"""The stage that a job in each state waits for, or is in."""


class Task(Record, frozen=True, kw_only=True):
    """A stage of a job, as it is handed over."""

    stage: Stage
    """What is to be done."""
    job_id: str
    """The job."""
    attempt: int
    """How often the job was resumed before."""

    @property
    def name(self) -> str:
        """What the queue knows it by: the same for every trainer, and another one once resumed."""
        base = self.job_id if self.stage is Stage.VALIDATE else f"{self.job_id}-{self.stage}"
        return base if self.attempt == 0 else f"{base}-{self.attempt}"


class Turn(Record, frozen=True, kw_only=True):
    """A task, and when it is its turn among those that wait."""

    task: Task
    """What is handed over."""
    place: int
    """Jobs of the same project that come first, plus one; lower places come first."""


Enqueue = Callable[[Task, int], Awaitable[None]]
"""Hands a task over, with its place."""


def turns(jobs: Iterable[FineTuningJob], *, limit: int | None) -> list[Turn]:
    """Return what is to be handed over now.

    Projects take turns: the first jobs of all come before the second ones. A project's jobs beyond
    the limit wait, the running ones counted first. All trainers look at the same jobs, so they come
    to the same answer.

    Args:
        jobs: Those that are not over, oldest first.
        limit: Most jobs of a project that train at a time.
    """
    ordered = sorted(jobs, key=lambda job: job.status is not JobStatus.RUNNING)
    ahead: dict[tuple[str, Stage], int] = {}
    found = []
    for job in ordered:
        stage = STAGES.get(job.status)
        if stage is None:
            continue
        place = ahead.get((job.project, stage), 0) + 1
        ahead[job.project, stage] = place
        if stage is Stage.TRAIN and limit is not None and place > limit:
            continue
        task = Task(stage=stage, job_id=job.id, attempt=job.attempt)
        found.append(Turn(task=task, place=place))
    return sorted(found, key=lambda turn: turn.place)


class Dispatcher:
    """Hands jobs over."""

    def __init__(
        self,
        store: Store,
        enqueue: Enqueue,
        metrics: TrainerMetrics,
        *,
        limit: int | None = None,
    ) -> None:
        self._store = store
        self._enqueue = enqueue
        self._metrics = metrics
        self._limit = limit
        self._handed_over: set[Task] = set()

    async def run(self) -> None:
        """Look for jobs until cancelled; what fails is tried again."""
        while True:
            try:
                await self.look()
            except Unavailable as exc:
                logger.warning("jobs cannot be looked for: %s", exc)
            except Exception:
                logger.exception("jobs cannot be handed over")
            await asyncio.sleep(DISPATCH_SECONDS)

    async def look(self) -> None:
        """Hand over every job whose turn it is and that was not handed over by this process."""
        due = turns(await self._store.jobs.unfinished(), limit=self._limit)
        for turn in due:
            if turn.task not in self._handed_over:
                await self._enqueue(turn.task, turn.place)
                self._handed_over.add(turn.task)
        self._handed_over &= {turn.task for turn in due}
        self._metrics.show_jobs(await self._store.jobs.counts())
