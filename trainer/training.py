"""One job's training: a child process, started again once if it dies, and its reports passed on.

It refuses to know how the child trains and what becomes of the result.
"""

import asyncio
import logging
import time

from registry.errors import StorageFull, TrainingFailed, Unavailable
from registry.lifecycle import JobStatus
from registry.records import FineTuningJob
from registry.settings import Settings
from registry.store import Store
from trainer.child import EXIT_STORAGE_FULL
from trainer.journal import message, metrics
from trainer.metrics import TrainerMetrics
from trainer.protocol import Message, Notice, Progress, Result, decode_outcome
from trainer.reporting import Reporting, Reports
from trainer.supervision import TrainingChild, describe_death, training_child
from trainer.workplace import Workplace

WATCH_SECONDS = 0.4
"""Time between two looks at whether the job was cancelled."""
RETRY_SECONDS = 1.0
"""Time before a notice is written again when the database was away."""
DEATHS_ALLOWED = 1
"""Deaths of the child after which it is started again."""

logger = logging.getLogger(__name__)


class Cancelled(Exception):
    """The job was cancelled while it trained."""


class Training:
    """Trains jobs in child processes."""

    def __init__(self, settings: Settings, store: Store, metrics: TrainerMetrics) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._reporting = Reporting(settings, store)

    async def run(self, job: FineTuningJob, place: Workplace) -> Result:
        """Return what a job's training yields, at once if it did so before.

        Raises:
            TrainingFailed: It cannot be trained, or the child died too often.
            StorageFull: The disk is full.
            Cancelled: The job was cancelled.
        """
        deaths = job.child_deaths
        while not place.outcome.exists():
            status = await self._run_child(job, place)
            if status == EXIT_STORAGE_FULL:
                raise StorageFull(f"the checkpoints of {job.id}")
            if place.outcome.exists():
                break
            deaths += 1
            await self._note_death(job.id, deaths, describe_death(status))
        outcome = decode_outcome(place.outcome.read_bytes())
        if isinstance(outcome, Result):
            return outcome
        raise TrainingFailed(outcome.code, outcome.message)

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
        last_step = await self._last_step(job.id)
        reports = self._reporting.open(job)
        scribe = _Scribe(job.id, last_step, self._store, self._metrics, reports)
        self._metrics.active.inc()
        try:
            async with training_child(self._settings, place.root) as child:
                status = await self._follow(job.id, child, scribe)
            outcome = "succeeded" if status == 0 else "failed"
        except Cancelled:
            outcome = "cancelled"
            raise
        finally:
            reports.finish(outcome)
            self._metrics.active.dec()
            self._metrics.tokens_per_second.set(0)
            self._metrics.seconds.labels(outcome).observe(time.monotonic() - started_at)
        return status

    async def _follow(self, job_id: str, child: TrainingChild, scribe: "_Scribe") -> int:
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self._stop_when_cancelled(job_id, child))
            async for report in child.messages():
                await scribe.write(report)
            status = await child.wait()
            watch.cancel()
        if watch.cancelled():
            return status
        raise Cancelled(f"{job_id} was cancelled while it trained")

    async def _stop_when_cancelled(self, job_id: str, child: TrainingChild) -> None:
        while True:
            if await self._is_cancelled(job_id):
                await child.stop()
                return
            await asyncio.sleep(WATCH_SECONDS)

    async def _is_cancelled(self, job_id: str) -> bool:
        try:
            return (await self._store.jobs.get(job_id)).status is JobStatus.CANCELLED
        except Unavailable as exc:
            logger.warning("job %s trains on while the database is away: %s", job_id, exc)
            return False

    async def _last_step(self, job_id: str) -> int:
        """Return the last step that an earlier child reported."""
        page = await self._store.jobs.events(job_id, after=None, limit=100)
        return max((event.data.get("step", 0) for event in page.data), default=0)


class _Scribe:
    """Writes a child's reports to the store; steps that a resumed child repeats are left out."""

    def __init__(
        self,
        job_id: str,
        last_step: int,
        store: Store,
        metrics: TrainerMetrics,
        reports: Reports,
    ) -> None:
        self._job_id = job_id
        self._last_step = last_step
        self._tokens = 0
        self._store = store
        self._metrics = metrics
        self._reports = reports

    async def write(self, report: Message) -> None:
        """Pass one report on. The training does not end because the database is away.

        Progress is lost then, and stands in the result file all the same; a notice waits.
        """
        while True:
            try:
                if isinstance(report, Notice):
                    event = message(self._job_id, report.message, level=report.level)
                    await self._store.jobs.add_event(event)
                else:
                    await self._write_progress(report)
            except Unavailable as exc:
                logger.warning("a report of job %s is not written: %s", self._job_id, exc)
                if isinstance(report, Notice):
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
            return

    async def _write_progress(self, report: Progress) -> None:
        self._metrics.tokens.inc(max(0, report.tokens - self._tokens))
        self._tokens = report.tokens
        self._metrics.tokens_per_second.set(report.tokens_per_second)
        self._metrics.loss.set(report.metrics.get("train_loss", 0.0))
        if report.step <= self._last_step:
            return
        self._last_step = report.step
        figures = ("step", "total_steps", "tokens_per_second", "seconds_left")
        data = {name: getattr(report, name) for name in figures} | report.metrics
        self._reports.log(data)
        loss = report.metrics.get("train_loss", 0.0)
        text = f"Step {report.step}/{report.total_steps}: training loss={loss:.2f}"
        if "valid_loss" in report.metrics:
            text += f", validation loss={report.metrics['valid_loss']:.2f}"
        await self._store.jobs.add_event(metrics(self._job_id, text, data))
        finish = int(time.time() + report.seconds_left)
        await self._store.jobs.change(self._job_id, estimated_finish=finish)
