"""`/v1/metrics`: what Prometheus reads about one project.

It refuses to show what is not the caller's own; `/metrics` shows everything.
"""

from litestar import Response, Router, get
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from registry.records import Scope
from service.auth import needs
from service.context import Caller, Parts
from service.project_metrics import ProjectMetrics, owned_by


@get("/", media_type="text/plain")
async def get_project_metrics(services: Parts, caller: Caller) -> Response[bytes]:
    """Return the series of the project's versions and deployments, in Prometheus' text format."""
    owned = owned_by(caller.project, services.routing.snapshot)
    registry = CollectorRegistry()
    registry.register(ProjectMetrics(services.metrics.registry, owned))
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


router = Router(
    "/v1/metrics",
    route_handlers=[get_project_metrics],
    guards=[needs(Scope.TRAINING)],
    tags=["Health"],
)
