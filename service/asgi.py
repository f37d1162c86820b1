"""The composition root: every part is made, started and stopped here, in this order.

It refuses to know what the parts do, and reads no environment.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from anyio import to_thread
from litestar import Litestar, Router
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from prometheus_client import CollectorRegistry

from registry.blobs import Blobs
from registry.errors import GraftlineError
from registry.liveness import keep_beating
from registry.settings import Settings
from registry.store import Store, open_store
from service import uploads
from service.auth import Keyring
from service.bootstrap import announce, bootstrap
from service.context import DEPENDENCIES
from service.disconnect import Departures
from service.front import Front
from service.importing import orphans
from service.interaction_log import InteractionLog
from service.limits import Counters, Limiter, open_counting
from service.metrics import ServiceMetrics
from service.problems import handle
from service.reconcile import Reconciler
from service.request_log import RequestLog
from service.routes import (
    adapters,
    deployments,
    evaluations,
    feedback,
    feedback_files,
    files,
    fine_tuning,
    health,
    inference,
    interactions,
    keys,
    models,
    project,
)
from service.routes import (
    metrics as project_metrics,
)
from service.routes import (
    usage as usage_routes,
)
from service.routing import RoutingTable
from service.services import Services
from service.shadow import Shadows
from service.snapshot import SnapshotReader
from service.tally import Tally
from service.texts import Texts
from service.turnstile import Turnstile
from service.usage import UsageLedger
from service.vllm import Engine

RESTART_SECONDS = 1.0
"""Pause before a background loop that died is started again."""
_DESCRIPTION = (
    "Fine-tune, serve, compare and watch language models on your own machines, through OpenAI's "
    "and Anthropic's APIs. Send an API key as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."
)
_ADMINISTRATION = (
    files,
    feedback_files,
    fine_tuning,
    models,
    adapters,
    deployments,
    evaluations,
    interactions,
    feedback,
    project,
    keys,
    usage_routes,
    project_metrics,
)

logger = logging.getLogger(__name__)


def create_app(settings: Settings) -> Front:
    """Return the application; its parts are started when it is served."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        try:
            async with running(settings) as services:
                app.state.services = services
                yield
        except* GraftlineError as group:
            for error in group.exceptions:
                logger.critical("the service cannot run: %s", error)
            raise

    administration = Router(
        "/",
        route_handlers=[room.router for room in _ADMINISTRATION],
        middleware=[RequestLog()],
    )
    application = Litestar(
        route_handlers=[administration, *inference.handlers, *health.handlers],
        dependencies=DEPENDENCIES,
        exception_handlers={Exception: handle},
        lifespan=[lifespan],
        logging_config=None,
        openapi_config=_openapi(),
    )
    return Front(application)


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Start every part, and stop them in reverse: loops, interaction log, engine, store.

    Raises:
        Unavailable: The database cannot be reached.
        StorageFull: There is no room for the first keys.
    """
    async with AsyncExitStack() as stack:
        store = await open_store(settings)
        stack.push_async_callback(store.close)
        announce(await bootstrap(settings, store), settings)
        services = _wire(settings, store)
        await services.engine.open()
        stack.push_async_callback(services.limiter.close)
        stack.push_async_callback(services.engine.close)
        await services.keyring.refresh()
        await services.routing.refresh()
        await services.texts.refresh()
        await to_thread.run_sync(uploads.sweep, services.blobs)
        await orphans.sweep(settings, store)
        writer = {"interaction log": services.interaction_log.run}
        loops: Mapping[str, Callable[[], Awaitable[None]]] = {
            "keyring": services.keyring.run,
            "routing": services.routing.run,
            "texts": services.texts.run,
            "reconcile": services.reconciler.run,
            "departures": services.departures.run,
            "shadows": services.shadows.run,
            "limits": services.limiter.run,
            "heartbeat": partial(keep_beating, store, "service"),
        }
        async with _background(writer), _background(loops):
            yield services


def _wire(settings: Settings, store: Store) -> Services:
    metrics = ServiceMetrics(CollectorRegistry())
    key = settings.engine_key.get_secret_value() if settings.engine_key else None
    engine = Engine(
        settings.engine_base_url, key, deadline_seconds=settings.request_deadline_seconds
    )
    routing = RoutingTable(SnapshotReader(store, settings.base_name))
    limits_url = settings.limits_url.get_secret_value() if settings.limits_url else None
    usage = UsageLedger(metrics.usage_dropped)
    reconciler = Reconciler(
        settings=settings, store=store, engine=engine, routing=routing, metrics=metrics
    )
    interaction_log = InteractionLog(
        store, metrics, usage, max_bytes=settings.interaction_queue_bytes
    )
    shadows = Shadows(
        engine=engine,
        reconciler=reconciler,
        routing=routing,
        interaction_log=interaction_log,
        metrics=metrics,
        concurrency=settings.shadow_concurrency,
    )
    return Services(
        settings=settings,
        store=store,
        blobs=Blobs(settings.files_dir),
        metrics=metrics,
        engine=engine,
        routing=routing,
        reconciler=reconciler,
        interaction_log=interaction_log,
        shadows=shadows,
        texts=Texts(store),
        keyring=Keyring(store),
        tally=Tally(metrics),
        turnstile=_turnstile(settings, metrics),
        departures=Departures(),
        limiter=Limiter(
            Counters(open_counting(limits_url), metrics.limit_counter_failures, clock=time.time),
            clock=time.time,
        ),
        usage=usage,
    )


def _turnstile(settings: Settings, metrics: ServiceMetrics) -> Turnstile:
    turnstile = Turnstile(
        places=settings.max_in_flight,
        queue=settings.max_queued,
        wait_seconds=settings.queue_seconds,
    )
    metrics.queued.set_function(lambda: turnstile.waiting)
    return turnstile


@asynccontextmanager
async def _background(loops: Mapping[str, Callable[[], Awaitable[None]]]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_keep_running(name, run)) for name, run in loops.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


async def _keep_running(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """Run a loop until cancelled; one that dies is started again, and the service goes on."""
    while True:
        try:
            await run()
        except Exception:  # the edge of every background loop
            logger.exception("the loop '%s' died and is started again", name)
        await asyncio.sleep(RESTART_SECONDS)


def _openapi() -> OpenAPIConfig:
    scheme = SecurityScheme(type="http", scheme="bearer", description="An API key of Graftline.")
    return OpenAPIConfig(
        title="Graftline",
        version="1",
        description=_DESCRIPTION,
        components=Components(security_schemes={"api_key": scheme}),
        security=[{"api_key": []}],
        use_handler_docstrings=True,
    )
