"""The durable queue: dbos, on SQLite or PostgreSQL.

It refuses to know what a stage does. A stage that a crash interrupts is run again from its start
when the trainer is back: the stages are written for that, so dbos records no steps of theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from dbos import DBOS, DBOSConfig, SetWorkflowID

from registry.settings import Settings
from trainer.dispatch import Stage

APPLICATION_VERSION = "1"
"""Fixed, so that a trainer takes over the workflows of the one before it, an older one included."""
EXECUTOR_ID = "trainer"
"""Fixed, so that a trainer that starts recovers the workflows of the one that died."""
POLL_SECONDS = 0.25
"""Time between two looks of dbos into a queue."""
VALIDATIONS_AT_A_TIME = 4
"""Jobs whose files are validated at a time; they do not wait for those that train."""

RunStage = Callable[[str], Coroutine[Any, Any, None]]
"""Runs a stage of the job with the given id."""


class DurableQueue:
    """Hands stages to dbos. Make one with `durable_queue`."""

    def __init__(self, stages: Mapping[Stage, RunStage]) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._workflows = {stage: self._workflow(stage, run) for stage, run in stages.items()}

    async def enqueue(self, stage: Stage, job_id: str) -> None:
        """Hand a stage of a job over; dbos knows it by its name, so a repeat changes nothing."""
        name = job_id if stage is Stage.VALIDATE else f"{job_id}-{stage}"
        with SetWorkflowID(name):
            await DBOS.enqueue_workflow_async(stage.value, self._workflows[stage], job_id)

    async def interrupt(self) -> None:
        """Stop the stages that run. They count as crashed: the next trainer takes them up."""
        self._is_closing = True
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _workflow(self, stage: Stage, run: RunStage) -> RunStage:
        @DBOS.workflow(name=f"graftline-{stage}", max_recovery_attempts=None)
        async def workflow(job_id: str) -> None:
            task = asyncio.current_task()
            if self._is_closing:
                raise asyncio.CancelledError  # dbos found it while we stop: it stays pending
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            await run(job_id)

        return workflow


@asynccontextmanager
async def durable_queue(
    settings: Settings, stages: Mapping[Stage, RunStage]
) -> AsyncIterator[DurableQueue]:
    """Run dbos while the block lasts. Its workflows run on this event loop."""
    DBOS(config=_config(settings))
    queue = DurableQueue(stages)
    DBOS.launch()
    await DBOS.register_queue_async(
        Stage.VALIDATE.value,
        worker_concurrency=VALIDATIONS_AT_A_TIME,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    await DBOS.register_queue_async(
        Stage.TRAIN.value,
        worker_concurrency=settings.trainer_concurrency,
        polling_interval_sec=POLL_SECONDS,
        on_conflict="always_update",
    )
    try:
        yield queue
    finally:
        await queue.interrupt()
        await to_thread.run_sync(DBOS.destroy)


def _config(settings: Settings) -> DBOSConfig:
    return {
        "name": "graftline-trainer",
        "system_database_url": settings.queue_url,
        "application_version": APPLICATION_VERSION,
        "executor_id": EXECUTOR_ID,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": POLL_SECONDS,
    }
