"""Finds jobs in the store and hands each stage to the queue.

It refuses to know the queue and the stages. A job's row is the message: nobody has to tell the
trainer, and a hand-over that a crash repeats is one hand-over, because the queue knows its name.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum

from registry.errors import Unavailable
from registry.lifecycle import JobStatus
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

Enqueue = Callable[[Stage, str], Awaitable[None]]


class Dispatcher:
    """Hands jobs over."""

    def __init__(self, store: Store, enqueue: Enqueue, metrics: TrainerMetrics) -> None:
        self._store = store
        self._enqueue = enqueue
        self._metrics = metrics
        self._handed_over: set[tuple[Stage, str]] = set()

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
        """Hand over every job that was not handed over by this process."""
        jobs = await self._store.jobs.unfinished()
        waiting = {(STAGES[job.status], job.id) for job in jobs if job.status in STAGES}
        for job in jobs:
            stage = STAGES.get(job.status)
            if stage is not None and (stage, job.id) not in self._handed_over:
                await self._enqueue(stage, job.id)
                self._handed_over.add((stage, job.id))
        self._handed_over &= waiting
        self._metrics.show_jobs(await self._store.jobs.counts())
