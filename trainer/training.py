"""One job's training: a child process, started again where that helps, and its reports passed on.

It refuses to know how the child trains and what becomes of the result.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from registry.errors import StorageFull, TrainingFailed, Unavailable
from registry.lifecycle import JobStatus
from registry.records import FineTuningJob
from registry.settings import Settings
from registry.store import Store
from trainer import footprints
from trainer.child import EXIT_OUT_OF_MEMORY, EXIT_STORAGE_FULL
from trainer.journal import message
from trainer.limits import Breach, Limits, Spending
from trainer.metrics import TrainerMetrics
from trainer.protocol import Result, decode_outcome
from trainer.pulse import EXIT_UNHEARD
from trainer.reporting import Reporting
from trainer.scribe import Scribe
from trainer.supervision import TrainingChild, describe_death, training_child
from trainer.workplace import Workplace

WATCH_SECONDS = 0.4
"""Time between two looks at whether the job is still wanted, and at what its child takes."""
PAUSE_SECONDS = 60.0
"""Time a child gets for the step it is in and a checkpoint when its job is paused."""
DEATHS_ALLOWED = 1
"""Deaths of the child, memory aside, after which it is started again."""

StartChild = Callable[[Settings, Path], AbstractAsyncContextManager[TrainingChild]]
"""Runs a training child for a job's folder while a block lasts."""

logger = logging.getLogger(__name__)


class LetGo(Exception):
    """The job is not to be trained now; what it has is in its folder."""


class Cancelled(LetGo):
    """The job was cancelled while it trained."""


class Paused(LetGo):
    """The job was paused while it trained."""


class Training:
    """Trains jobs in child processes."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        metrics: TrainerMetrics,
        *,
        start: StartChild = training_child,
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._start = start
        self._reporting = Reporting(settings, store)

    async def run(self, job: FineTuningJob, place: Workplace) -> Result:
        """Return what a job's training yields, at once if it did so before.

        Raises:
            TrainingFailed: It cannot be trained, takes more than it may, or its child died too
                often.
            StorageFull: The disk is full.
            Cancelled: The job was cancelled.
            Paused: The job was paused; its newest checkpoint is sealed.
        """
        deaths = job.child_deaths
        while not place.outcome.exists():
            kills = footprints.kills_for_memory()
            status = await self._run_child(job, place)
            if status == EXIT_STORAGE_FULL:
                raise StorageFull(f"the checkpoints of {job.id}")
            if place.outcome.exists():
                break
            was_killed = status == -signal.SIGKILL and footprints.kills_for_memory() > kills
            if status == EXIT_OUT_OF_MEMORY or was_killed:
                await self._take_less(job.id, place)
                continue
            if status == EXIT_UNHEARD:
                logger.warning("this trainer stood still; job %s goes on from a checkpoint", job.id)
                continue
            deaths += 1
            await self._note_death(job.id, deaths, describe_death(status))
        outcome = decode_outcome(place.outcome.read_bytes())
        if isinstance(outcome, Result):
            return outcome
        raise TrainingFailed(outcome.code, outcome.message)

    async def _take_less(self, job_id: str, place: Workplace) -> None:
        """Halve what goes through the model at a time, and say so."""
        smaller = footprints.lower(place)
        if smaller is None:
            raise TrainingFailed(
                "out_of_memory",
                "There is not enough memory, even for one row at a time. Lower 'max_length', use "
                "'gradient_checkpointing' or the technique 'qlora', or a smaller base model.",
            )
        text = (
            "Memory ran out: the training goes on from its last checkpoint with at most "
            f"{smaller.tokens} tokens at a time, half of what it was."
        )
        await self._store.jobs.add_event(message(job_id, text, level="warn"))

    async def _note_death(self, job_id: str, deaths: int, how: str) -> None:
        self._metrics.child_deaths.inc()
        await self._store.jobs.change(job_id, child_deaths=deaths)
        if deaths > DEATHS_ALLOWED:
            raise TrainingFailed(
                "training_process_died",
                f"The training process {how}, for the second time. If memory is short, lower "
                "'batch_size' or free some, and create the job again.",
            )
        text = f"The training process {how}; it is started again from its last checkpoint."
        await self._store.jobs.add_event(message(job_id, text, level="warn"))

    async def _run_child(self, job: FineTuningJob, place: Workplace) -> int:
        started_at = time.monotonic()
        outcome = "failed"
        reports = self._reporting.open(job)
        scribe = await Scribe.open(job.id, self._store, self._metrics, reports)
        self._metrics.active.inc()
        try:
            async with self._start(self._settings, place.root) as child, Spending(place) as spent:
                limits = Limits(self._settings, place, spent)
                status = await self._follow(job, child, scribe, limits)
            outcome = "succeeded" if status == 0 else "failed"
        except LetGo:
            outcome = "cancelled"
            raise
        finally:
            reports.finish(outcome)
            self._metrics.active.dec()
            self._metrics.tokens_per_second.set(0)
            self._metrics.seconds.labels(outcome).observe(time.monotonic() - started_at)
        return status

    async def _follow(
        self, job: FineTuningJob, child: TrainingChild, scribe: Scribe, limits: Limits
    ) -> int:
        # Written before the child is ended: its end may be seen here before it is seen there.
        reasons: list[Breach | LetGo] = []
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._watch(job, child, limits, reasons))
            async for report in child.messages():
                await scribe.write(report)
            status = await child.wait()
            watch.cancel()
        if not reasons:
            return status
        [end] = reasons
        if end is Breach.MEMORY:
            return EXIT_OUT_OF_MEMORY
        if isinstance(end, Breach):
            raise limits.failure(end)
        raise end

    async def _watch(
        self,
        job: FineTuningJob,
        child: TrainingChild,
        limits: Limits,
        reasons: list[Breach | LetGo],
    ) -> None:
        """End the child when its job is unwanted or takes too much, once the reason is noted."""
        while True:
            end = await self._unwanted(job)
            reason = end or await limits.breach(child.pid)
            if reason is not None:
                reasons.append(reason)
                await (child.stop(PAUSE_SECONDS) if isinstance(end, Paused) else child.kill())
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def _unwanted(self, job: FineTuningJob) -> LetGo | None:
        """Return why a job is not to be trained any more, or none."""
        try:
            present = await self._store.jobs.get(job.id)
        except Unavailable as exc:
            logger.warning("job %s trains on while the database is away: %s", job.id, exc)
            return None
        if present.status is JobStatus.CANCELLED:
            return Cancelled(f"{job.id} was cancelled while it trained")
        if present.status is not JobStatus.RUNNING or present.attempt != job.attempt:
            return Paused(f"{job.id} was paused while it trained")
        return None
