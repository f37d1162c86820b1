"""The evals process: wiring, the exporter, and a clean stop.

It refuses to decide anything.
"""

import asyncio
import logging
import signal

import aiohttp
from anyio import to_thread
from prometheus_client import start_http_server
from transformers import AutoTokenizer

from evals.client import Client, Patience
from evals.drift.gathering import Sizes
from evals.drift.watch import Schedule, Watch
from evals.findings.evidence import Prices
from evals.judging import Endpoint, Judge
from evals.metrics import Metrics
from evals.own_metrics import load_metrics
from evals.recall import CacheLimits
from evals.reporting import Reporter
from evals.runner import Limits, Runner
from evals.worker import Pace, Worker
from registry.blobs import Blobs
from registry.errors import GraftlineError
from registry.liveness import keep_beating
from registry.rendering import Tokenizer
from registry.settings import Settings
from registry.store import Store, open_store

_LOOPBACK = "127.0.0.1"
_DAY_SECONDS = 86_400
logger = logging.getLogger("evals")


async def serve(settings: Settings) -> None:
    """Run evaluations until SIGTERM or SIGINT.

    Raises:
        Unavailable: The database cannot be reached at the start.
        OSError: The metrics' port is taken, or the base model's tokenizer cannot be read.
    """
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    metrics = Metrics()
    store = await open_store(settings)
    server, _ = start_http_server(settings.evals_port, _LOOPBACK, metrics.registry)
    try:
        tokenizer = await to_thread.run_sync(AutoTokenizer.from_pretrained, settings.base_model)
        async with aiohttp.ClientSession() as session:
            worker = _worker(settings, store, session, tokenizer, metrics)
            await _until(stop, store, worker, Watch(store, metrics, _schedule(settings)))
    finally:
        server.shutdown()
        server.server_close()
        await store.close()


async def _until(stop: asyncio.Event, store: Store, worker: Worker, watch: Watch) -> None:
    """Work until asked to stop; answers in hand are stored on the way out."""
    async with asyncio.TaskGroup() as tg:
        tasks = [
            tg.create_task(keep_beating(store, "evals")),
            tg.create_task(worker.keep_counting()),
            tg.create_task(worker.run()),
            tg.create_task(watch.run()),
        ]
        await stop.wait()
        for task in tasks:
            task.cancel()


def _worker(
    settings: Settings,
    store: Store,
    session: aiohttp.ClientSession,
    tokenizer: Tokenizer,
    metrics: Metrics,
) -> Worker:
    client = Client(
        session,
        url=settings.service_url,
        key_file=settings.evals_key_file,
        concurrency=settings.evals_concurrency,
        patience=Patience(deadline_seconds=settings.request_deadline_seconds),
        count=metrics.count,
    )
    runner = Runner(
        store,
        client,
        Blobs(settings.files_dir),
        tokenizer,
        limits=Limits(max_model_len=settings.max_model_len, concurrency=settings.evals_concurrency),
        metrics=load_metrics(),
        suites_dir=settings.suites_dir,
        judge=_judge(settings, store, session),
        prices=Prices(
            per_million_prompt_tokens=settings.cost_per_million_prompt_tokens,
            per_million_adapter_requests=settings.cost_per_million_adapter_requests,
            per_training_hour=settings.cost_per_training_hour,
        ),
        cache=_cache(settings),
        progress=metrics.progress.set,
    )
    reporter = Reporter(store, settings.exam_reports_dir)
    return Worker(store, runner, metrics, pace=Pace(), reporter=reporter)


def _cache(settings: Settings) -> CacheLimits:
    """Return the bounds of the kept answers; with 0 bytes those of earlier times are dropped."""
    return CacheLimits(
        adapters_dir=settings.adapters_dir,
        max_bytes=settings.answer_cache_bytes,
        max_age_seconds=settings.answer_cache_days * _DAY_SECONDS,
    )


def _schedule(settings: Settings) -> Schedule:
    return Schedule(
        every_seconds=settings.drift_seconds,
        sizes=Sizes(
            reference_rows=settings.drift_reference_rows, window_rows=settings.drift_window_rows
        ),
        floor_rows=settings.drift_min_rows,
    )


def _judge(settings: Settings, store: Store, session: aiohttp.ClientSession) -> Judge | None:
    if settings.judge_url is None:
        return None
    key = settings.judge_key
    endpoint = Endpoint(
        url=settings.judge_url,
        model=settings.judge_model,
        key=None if key is None else key.get_secret_value(),
    )
    return Judge(session, store, endpoint)


def run() -> int:
    """Run the process; return its exit code."""
    settings = Settings()
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    try:
        asyncio.run(serve(settings))
    except GraftlineError as exc:
        logger.error("%s", exc)  # noqa: TRY400 - the sentence says all, a traceback would hide it
        return 1
    except OSError as exc:
        logger.error("cannot start: %s (metrics port %d)", exc, settings.evals_port)  # noqa: TRY400 - as above
        return 1
    return 0
