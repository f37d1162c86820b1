"""`/v1/deployments/{name}/drift`: how far a deployment's latest requests are from its first.

It refuses to compute: the exams' process does, and stores what it finds.
"""

from litestar import Router, get
from litestar.params import FromPath

from registry.records import Scope
from service.auth import needs
from service.context import Caller, Parts
from service.wire.drift import DriftObject, drift_object


@get("/{name:str}/drift")
async def get_drift(services: Parts, caller: Caller, name: FromPath[str]) -> DriftObject:
    """Return the newest comparison of each version's latest interactions with its first.

    Each feature has its statistics, the rows behind them and a state; below a floor of rows it has
    no figure, and says how many are missing.
    """
    deployment = await services.store.deployments.get(name, project=caller.project)
    reports = await services.store.drift.latest(project=caller.project, deployment=name)
    return drift_object(deployment, reports)


router = Router(
    "/v1/deployments",
    route_handlers=[get_drift],
    guards=[needs(Scope.TRAINING)],
    tags=["Deployments"],
)
