"""The trainer's process: `python -m trainer`. Everything is wired here.

It refuses to know how any part works.
"""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack
from threading import Thread
from wsgiref.simple_server import WSGIServer

from anyio import to_thread
from prometheus_client import CollectorRegistry, start_http_server

from registry.blobs import Blobs
from registry.errors import Invalid, LostLease, Unavailable
from registry.lifecycle import JOB_MOVES, is_final
from registry.liveness import keep_beating
from registry.settings import Settings
from registry.signing import check_keys
from registry.store import Store, open_store
from trainer.dispatch import Dispatcher, Stage
from trainer.durable_queue import durable_queue
from trainer.metrics import TrainerMetrics
from trainer.preparation import Preparation
from trainer.publish import Publisher
from trainer.seat import NoSeat, seat
from trainer.tenure import Tenure
from trainer.training import Training
from trainer.worker import Worker
from trainer.workplace import Workplace

SWEEP_SECONDS = 60.0
"""Time between two looks for folders that nobody needs."""

logger = logging.getLogger(__name__)


def main() -> None:
    """Run the trainer until it is asked to stop."""
    settings = Settings()
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        check_keys(settings.signing_key, None)
        with seat(settings.data_dir / "trainers") as name:
            asyncio.run(serve(settings, name))
    except (Invalid, NoSeat) as exc:
        sys.exit(str(exc))
    except ExceptionGroup as exc:
        if exc.subgroup(LostLease) is None:
            raise
        sys.exit("This trainer was not heard of for so long that another one took over.")


async def serve(settings: Settings, name: str) -> None:
    """Run the trainer until SIGTERM or SIGINT.

    Args:
        settings: How.
        name: What this trainer calls itself; no two that live are alike.

    Raises:
        ExceptionGroup: With a `LostLease`: another trainer took this one for dead.
    """
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    registry = CollectorRegistry()
    metrics = TrainerMetrics(registry)
    async with AsyncExitStack() as stack:
        server, _ = _listen(settings, registry)
        stack.callback(server.shutdown)
        store = await open_store(settings)
        stack.push_async_callback(store.close)
        tenure = Tenure(store, name)
        # Before dbos: while another trainer inherits from this one's last life, nothing begins.
        await tenure.enter()
        worker = _worker(settings, store, tenure, metrics)
        stages = {Stage.VALIDATE: worker.validate, Stage.TRAIN: worker.train}
        queue = await stack.enter_async_context(durable_queue(settings, stages, trainer=name))
        limit = settings.project_running_jobs
        dispatcher = Dispatcher(store, queue.enqueue, metrics, limit=limit)
        logger.info("the trainer is ready")
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(keep_beating(store, "trainer")),
                tasks.create_task(keep_sweeping(settings, store)),
                tasks.create_task(tenure.run(queue.hand_on)),
                tasks.create_task(dispatcher.run()),
            ]
            await stopping.wait()
            for task in running:
                task.cancel()
    logger.info("the trainer has stopped")


async def keep_sweeping(settings: Settings, store: Store) -> None:
    """Sweep now and every `SWEEP_SECONDS`, until cancelled; what fails is tried again."""
    while True:
        try:
            await sweep(settings, store)
        except Unavailable as exc:
            logger.warning("folders of ended jobs stay for now: %s", exc)
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep(settings: Settings, store: Store) -> None:
    """Delete the folders of jobs that are over, such as one cancelled while paused, or unknown.

    The folders are listed before the jobs: a job is older than its folder, so that one which
    another trainer begins meanwhile is not taken for unknown.
    """
    if not settings.work_dir.exists():
        return
    folders = list(settings.work_dir.iterdir())
    wanted = {
        job.id for job in await store.jobs.unfinished() if not is_final(JOB_MOVES, job.status)
    }
    for folder in folders:
        if folder.name not in wanted:
            await to_thread.run_sync(Workplace(folder).remove)


def _listen(settings: Settings, registry: CollectorRegistry) -> tuple[WSGIServer, Thread]:
    try:
        return start_http_server(settings.trainer_port, "127.0.0.1", registry)
    except OSError as exc:
        sys.exit(
            f"The port {settings.trainer_port} of the trainer's metrics cannot be used ({exc}). "
            "Choose another with GRAFTLINE_TRAINER_PORT."
        )


def _worker(settings: Settings, store: Store, tenure: Tenure, metrics: TrainerMetrics) -> Worker:
    blobs = Blobs(settings.files_dir)
    return Worker(
        settings=settings,
        store=store,
        tenure=tenure,
        preparation=Preparation(settings, store, blobs),
        training=Training(settings, store, metrics),
        publisher=Publisher(settings, store, blobs),
    )


if __name__ == "__main__":
    main()
