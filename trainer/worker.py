"""What happens to a job, from its files to its adapter: two stages, each safe to run twice.

It refuses to know the queue. What a stage has done stands in the store and in the job's folder,
nowhere else: a stage that a crash interrupted looks there, and goes on.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from registry.errors import (
    IllegalTransition,
    LostLease,
    NotFound,
    StorageFull,
    TrainingFailed,
    Unavailable,
)
from registry.lifecycle import JOB_MOVES, JobStatus, is_final
from registry.records import FineTuningJob, JobError
from registry.settings import Settings
from registry.store import Store
from trainer.journal import message
from trainer.preparation import Preparation
from trainer.publish import Publisher
from trainer.tenure import Tenure
from trainer.training import LetGo, Training
from trainer.workplace import Workplace

RETRY_SECONDS = 2.0
"""Time before a stage runs again when the database was away."""

logger = logging.getLogger(__name__)


class Worker:
    """Runs the stages of jobs, each under the lease to work on its job."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        tenure: Tenure,
        preparation: Preparation,
        training: Training,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._store = store
        self._tenure = tenure
        self._preparation = preparation
        self._training = training
        self._publisher = publisher

    async def validate(self, job_id: str, attempt: int = 0) -> None:
        """Run the first stage: `validating_files` to `queued`."""
        await self._run(job_id, attempt, self._validate)

    async def train(self, job_id: str, attempt: int = 0) -> None:
        """Run the second stage: `queued` to a final state, or until the job is paused.

        Args:
            job_id: The job.
            attempt: Which one this is for; nothing is done for one that a resume has replaced.
        """
        await self._run(job_id, attempt, self._train)

    async def _run(
        self, job_id: str, attempt: int, stage: Callable[[FineTuningJob], Awaitable[None]]
    ) -> None:
        while True:
            try:
                async with self._tenure.of(job_id):
                    await self._attempt(job_id, attempt, stage)
            except Unavailable as exc:
                logger.warning("job %s waits: %s", job_id, exc)
                await asyncio.sleep(RETRY_SECONDS)
            except NotFound as exc:
                logger.warning("job %s cannot go on: %s", job_id, exc)
                return
            else:
                return

    async def _attempt(
        self, job_id: str, attempt: int, stage: Callable[[FineTuningJob], Awaitable[None]]
    ) -> None:
        job = await self._store.jobs.get(job_id)
        if job.attempt != attempt:
            logger.info("job %s was resumed since; another run of this stage has it", job_id)
            return
        try:
            if not is_final(JOB_MOVES, job.status):
                await stage(job)
        except (Unavailable, NotFound, LostLease):
            raise
        except (LetGo, IllegalTransition) as exc:
            logger.info("job %s: %s", job_id, exc)
        except TrainingFailed as exc:
            await self._fail(job_id, JobError(code=exc.code, message=exc.message, param=exc.param))
        except StorageFull as exc:
            await self._fail(job_id, JobError(code="storage_full", message=str(exc)))
        except Exception as exc:
            logger.exception("job %s failed for an unforeseen reason", job_id)
            text = f"An unforeseen error stopped the job ({type(exc).__name__}: {exc})."
            await self._fail(job_id, JobError(code="internal_error", message=text))
        await self._finish(job_id)

    async def _validate(self, job: FineTuningJob) -> None:
        if job.status is not JobStatus.VALIDATING_FILES:
            return
        opening = message(job.id, f"Validating training file: {job.training_file}")
        await self._store.jobs.add_event(opening)
        plan = await self._preparation.prepare(job, self._place(job.id))
        await self._store.jobs.move(
            job.id,
            JobStatus.QUEUED,
            event=message(job.id, "Files validated, moving job to queued state"),
            holder=self._tenure.name,
            hyperparameters=plan.hyperparameters.public(),
        )

    async def _train(self, job: FineTuningJob) -> None:
        if job.status not in {JobStatus.QUEUED, JobStatus.RUNNING}:
            return
        place = self._place(job.id)
        plan = await self._preparation.prepare(job, place)
        if job.status is JobStatus.QUEUED:
            verb = "started" if job.started_at is None else "resumed"
            job = await self._store.jobs.move(
                job.id,
                JobStatus.RUNNING,
                event=message(job.id, f"Fine-tuning job {verb}"),
                holder=self._tenure.name,
                started_at=job.started_at or int(time.time()),
            )
        result = await self._training.run(job, place)
        await self._publisher.publish(job, plan, result, place, holder=self._tenure.name)

    async def _fail(self, job_id: str, error: JobError) -> None:
        """Record a failure; first the folder goes, because the disk may be full.

        Raises:
            LostLease: Another trainer works on the job; its folder stays.
        """
        await self._tenure.confirm(job_id)
        self._place(job_id).remove()
        try:
            await self._store.jobs.move(
                job_id,
                JobStatus.FAILED,
                event=message(job_id, error.message, level="error"),
                holder=self._tenure.name,
                error=error,
                finished_at=int(time.time()),
                estimated_finish=None,
            )
        except IllegalTransition as exc:
            logger.info("the failure of job %s is not recorded: %s", job_id, exc)

    async def _finish(self, job_id: str) -> None:
        """Bring what surrounds a job in line with its final state."""
        job = await self._store.jobs.get(job_id)
        if not is_final(JOB_MOVES, job.status):
            return
        if job.status is JobStatus.SUCCEEDED:
            await self._publisher.queue_evaluation(job)
        else:
            await self._publisher.withdraw(job_id)
        self._place(job_id).remove()

    def _place(self, job_id: str) -> Workplace:
        return Workplace(self._settings.work_dir / job_id)
