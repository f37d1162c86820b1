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

from filelock import FileLock, Timeout
from prometheus_client import CollectorRegistry, start_http_server

from registry.blobs import Blobs
from registry.errors import Invalid
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
from trainer.training import Training
from trainer.worker import Worker
from trainer.workplace import Workplace

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
        # Two trainers in one data directory would recover, and so run, each other's jobs.
        with FileLock(settings.data_dir / "trainer.lock", timeout=settings.shutdown_seconds):
            asyncio.run(serve(settings))
    except Invalid as exc:
        sys.exit(str(exc))
    except Timeout:
        sys.exit(f"Another trainer runs in {settings.data_dir}.")


async def serve(settings: Settings) -> None:
    """Run the trainer until SIGTERM or SIGINT."""
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
        await sweep(settings, store)
        worker = _worker(settings, store, metrics)
        stages = {Stage.VALIDATE: worker.validate, Stage.TRAIN: worker.train}
        queue = await stack.enter_async_context(durable_queue(settings, stages))
        dispatcher = Dispatcher(store, queue.enqueue, metrics)
        logger.info("the trainer is ready")
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(keep_beating(store, "trainer")),
                tasks.create_task(dispatcher.run()),
            ]
            await stopping.wait()
            for task in running:
                task.cancel()
    logger.info("the trainer has stopped")


async def sweep(settings: Settings, store: Store) -> None:
    """Delete the folders of jobs that are over, or unknown."""
    if not settings.work_dir.exists():
        return
    wanted = {
        job.id for job in await store.jobs.unfinished() if not is_final(JOB_MOVES, job.status)
    }
    for folder in settings.work_dir.iterdir():
        if folder.name not in wanted:
            Workplace(folder).remove()


def _listen(settings: Settings, registry: CollectorRegistry) -> tuple[WSGIServer, Thread]:
    try:
        return start_http_server(settings.trainer_port, "127.0.0.1", registry)
    except OSError as exc:
        sys.exit(
            f"The port {settings.trainer_port} of the trainer's metrics cannot be used ({exc}). "
            "Choose another with GRAFTLINE_TRAINER_PORT."
        )


def _worker(settings: Settings, store: Store, metrics: TrainerMetrics) -> Worker:
    blobs = Blobs(settings.files_dir)
    return Worker(
        settings=settings,
        store=store,
        preparation=Preparation(settings, store, blobs),
        training=Training(settings, store, metrics),
        publisher=Publisher(settings, store, blobs),
    )


if __name__ == "__main__":
    main()
