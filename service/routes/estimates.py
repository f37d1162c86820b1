"""`/v1/estimates`: what a job would take, before anything runs.

It refuses to create anything.
"""

import time

from litestar import Router, post
from litestar.params import JSONBody

from registry.records import Scope
from service.auth import needs
from service.context import Caller, Parts
from service.description import may
from service.estimates import estimate_of
from service.job_files import require_files, require_parent
from service.job_request import new_job
from service.wire.estimates import EstimateObject
from service.wire.fine_tuning import CreateJob


@post("/", status_code=200, responses=may(404))
async def create_estimate(
    services: Parts, caller: Caller, data: JSONBody[CreateJob]
) -> EstimateObject:
    """Estimate steps, tokens, time, memory and money of a job, given as for its creation."""
    job = new_job(
        data,
        project=caller.project,
        base_name=services.settings.base_name,
        random_seed=0,
        now=int(time.time()),
    )
    await require_parent(services.store, job, services.settings.base_name)
    await require_files(services.store, job)
    return await estimate_of(services, job)


router = Router(
    "/v1/estimates",
    route_handlers=[create_estimate],
    guards=[needs(Scope.TRAINING)],
    tags=["Fine-tuning"],
)
