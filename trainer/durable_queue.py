"""The durable queue: dbos, on SQLite or PostgreSQL.

It refuses to know what a stage does. A stage that a crash interrupts is run again from its start
when the trainer is back, or by another one: the stages are written for that, so dbos records no
steps of theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from anyio import to_thread
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID

from registry.errors import LostLease
from registry.settings import Settings
from trainer.dispatch import Stage, Task

APPLICATION_VERSION = "1"
"""Fixed, so that a trainer takes over the workflows of the one before it, an older one included."""
POLL_SECONDS = 0.25
"""Time between two looks of dbos into a queue."""
VALIDATIONS_AT_A_TIME = 4
"""Jobs whose files are validated at a time; they do not wait for those that train."""

RunStage = Callable[[str, int], Coroutine[Any, Any, None]]
"""Runs a stage of the job with the given id, for the given attempt."""


class DurableQueue:
    """Hands stages to dbos. Make one with `durable_queue`."""

    def __init__(self, stages: Mapping[Stage, RunStage]) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._workflows = {stage: self._workflow(stage, run) for stage, run in stages.items()}

    async def enqueue(self, task: Task, place: int) -> None:
        """Hand a task over; dbos knows it by its name, so a repeat changes nothing.

        Args:
            task: What is to be done.
            place: Lower ones of those that wait come first.
        """
        with SetWorkflowID(task.name), SetEnqueueOptions(priority=place):
            workflow = self._workflows[task.stage]
            await DBOS.enqueue_workflow_async(task.stage.value, workflow, task.job_id, task.attempt)

    async def hand_on(self, trainer: str) -> None:
        """Put back what a dead trainer had taken out; whoever is free takes it."""
        # dbos offers this to its own console only; the method is the one that it calls there.
        await to_thread.run_sync(DBOS._recover_pending_workflows, [trainer])  # noqa: SLF001

    async def interrupt(self) -> None:
        """Stop the stages that run. They count as crashed: the next trainer takes them up."""
        self._is_closing = True
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)

    def _workflow(self, stage: Stage, run: RunStage) -> RunStage:
        @DBOS.workflow(name=f"graftline-{stage}", max_recovery_attempts=None)
        async def workflow(job_id: str, attempt: int = 0) -> None:
            task = asyncio.current_task()
            if self._is_closing:
                raise asyncio.CancelledError  # dbos found it while we stop: it stays pending
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            try:
                await run(job_id, attempt)
            except LostLease as exc:
                raise asyncio.CancelledError from exc  # it is another trainer's now

        return workflow


@asynccontextmanager
async def durable_queue(
    settings: Settings, stages: Mapping[Stage, RunStage], *, trainer: str
) -> AsyncIterator[DurableQueue]:
    """Run dbos while the block lasts. Its workflows run on this event loop.

    Args:
        settings: Where the queue is, and how much of it runs at a time.
        stages: What runs each stage.
        trainer: This trainer's name; what another process of that name left is taken up.
    """
    DBOS(config=_config(settings, trainer))
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


def _config(settings: Settings, trainer: str) -> DBOSConfig:
    return {
        "name": "graftline-trainer",
        "system_database_url": settings.queue_url,
        "application_version": APPLICATION_VERSION,
        "executor_id": trainer,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": POLL_SECONDS,
    }
