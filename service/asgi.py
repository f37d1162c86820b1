"""The composition root: every part is started and stopped here, in this order.

It refuses to know what the parts do, and reads no environment.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from anyio import to_thread
from litestar import Litestar, Router

from registry.errors import GraftlineError
from registry.liveness import keep_beating
from registry.settings import Settings
from registry.store import open_store
from service import uploads
from service.bootstrap import announce, bootstrap
from service.context import DEPENDENCIES
from service.description import DescriptionConfig
from service.front import Front
from service.importing import orphans
from service.json_request import JsonRequest
from service.part_sweep import PartSweep
from service.problems import handle
from service.request_log import RequestLog
from service.routes import (
    adapters,
    checkpoints,
    deployments,
    drift,
    estimates,
    evaluations,
    feedback,
    feedback_files,
    file_reports,
    files,
    fine_tuning,
    graders,
    health,
    inference,
    interactions,
    keys,
    models,
    project,
    webhooks,
)
from service.routes import (
    metrics as project_metrics,
)
from service.routes import (
    uploads as upload_routes,
)
from service.routes import (
    usage as usage_routes,
)
from service.services import Services
from service.wiring import wire

RESTART_SECONDS = 1.0
"""Pause before a background loop that died is started again."""
_ADMINISTRATION = (
    files,
    upload_routes,
    file_reports,
    feedback_files,
    fine_tuning,
    checkpoints,
    estimates,
    graders,
    models,
    adapters,
    deployments,
    drift,
    evaluations,
    interactions,
    feedback,
    project,
    keys,
    usage_routes,
    project_metrics,
    webhooks,
)

logger = logging.getLogger(__name__)


def create_app(settings: Settings, started: Callable[[], None] = lambda: None) -> Front:
    """Return the application; its parts are started when it is served.

    Args:
        settings: The service's.
        started: Called once everything is started.
    """

    def begin(services: Services) -> None:
        front.open(services)
        started()

    front = Front(doors(partial(life, settings, begin)))
    return front


def doors(lifespan: Callable[[Litestar], AbstractAsyncContextManager[None]]) -> Litestar:
    """Return every route of the API, over the parts that the lifespan puts into its state."""
    administration = Router(
        "/",
        route_handlers=[room.router for room in _ADMINISTRATION],
        middleware=[RequestLog()],
    )
    return Litestar(
        route_handlers=[administration, *inference.handlers, *health.handlers],
        dependencies=DEPENDENCIES,
        request_class=JsonRequest,
        exception_handlers={Exception: handle},
        lifespan=[lifespan],
        logging_config=None,
        openapi_config=DescriptionConfig(),
    )


@asynccontextmanager
async def life(
    settings: Settings, begin: Callable[[Services], None], app: Litestar
) -> AsyncIterator[None]:
    """Run every part for the length of the block, where the application's routes find them.

    Args:
        settings: The service's.
        begin: Called with the parts once everything is started.
        app: The application whose routes find them.
    """
    try:
        async with running(settings) as services:
            app.state.services = services
            begin(services)
            yield
    except* GraftlineError as group:
        for error in group.exceptions:
            logger.critical("the service cannot run: %s", error)
        raise


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Start every part, and stop them in reverse: loops, interaction log, replicas, store.

    Raises:
        Unavailable: The database cannot be reached.
        StorageFull: There is no room for the first keys.
    """
    async with AsyncExitStack() as stack:
        store = await open_store(settings, wait_seconds=settings.database_seconds)
        stack.push_async_callback(store.close)
        announce(await bootstrap(settings, store), settings)
        services = wire(settings, store)
        loop = asyncio.get_running_loop()
        services.metrics.tasks.set_function(lambda: len(asyncio.all_tasks(loop)))
        stack.push_async_callback(services.limiter.close)
        stack.push_async_callback(services.reports.close)
        stack.push_async_callback(services.sharing.leave)
        stack.push_async_callback(services.sender.close)
        await services.fleet.open()
        stack.push_async_callback(services.fleet.close)
        await services.keyring.refresh()
        await services.routing.refresh()
        await services.texts.refresh()
        await services.sharing.once()
        await to_thread.run_sync(uploads.sweep, services.blobs)
        await to_thread.run_sync(services.reports.sweep)
        await orphans.sweep(settings, store)
        writer = {"interaction log": services.interaction_log.run}
        loops: Mapping[str, Callable[[], Awaitable[None]]] = {
            "keyring": services.keyring.run,
            "routing": services.routing.run,
            "texts": services.texts.run,
            "fleet": services.fleet.run,
            "sharing": services.sharing.run,
            "reconcile": services.reconciler.run,
            "departures": services.departures.run,
            "shadows": services.shadows.run,
            "limits": services.limiter.run,
            "followed jobs": services.following.run,
            "webhooks": services.courier.run,
            "ended uploads": PartSweep(store, services.part_store).run,
            "heartbeat": partial(keep_beating, store, "service"),
        }
        async with _background(writer), _background(loops):
            yield services


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
