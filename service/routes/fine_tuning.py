"""`/v1/fine_tuning/jobs`: asking for training, and following it.

It refuses to train: a job's row is the message that the trainer picks up.
"""

import re
import secrets
import time
from typing import Any

from litestar import Request, Router, get, post
from litestar.enums import ParamType
from litestar.openapi.spec import OpenAPIType, Parameter, Schema
from litestar.params import FromPath, JSONBody

from registry.errors import Invalid, NotFound
from registry.lifecycle import AdapterStatus, JobStatus
from registry.records import FineTuningJob, Purpose, Scope
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import described, may
from service.job_request import MAX_SEED, first_event, new_event, new_job
from service.services import Services
from service.wire.fine_tuning import (
    CheckpointList,
    CreateJob,
    EventObject,
    JobObject,
    checkpoint_list,
    event_object,
    job_object,
)
from service.wire.lists import ListOf

_METADATA = Parameter(
    "metadata",
    ParamType.QUERY,
    Schema(type=OpenAPIType.OBJECT, additional_properties=Schema(type=OpenAPIType.STRING)),
    description="Only jobs with these pairs.",
    style="deepObject",
    explode=True,
)
_METADATA_FILTER = re.compile(r"metadata\[([^\[\]\"\\\x00]{1,64})\]")


@post("/", status_code=200, responses=may(404))
async def create_job(services: Parts, caller: Caller, data: JSONBody[CreateJob]) -> JobObject:
    """Ask for a model to be trained; the trainer begins by itself."""
    job = new_job(
        data,
        project=caller.project,
        base_name=services.settings.base_name,
        random_seed=secrets.randbelow(MAX_SEED),
        now=int(time.time()),
    )
    await _require_parent(services, job)
    await _require_file(services, job, "training_file", {Purpose.FINE_TUNE})
    await _require_file(services, job, "validation_file", {Purpose.FINE_TUNE, Purpose.EVALS})
    await services.store.jobs.add(job, first_event(job))
    return job_object(job)


@get("/", operation_class=described(parameters=[_METADATA]))
async def list_jobs(
    request: Request[Any, Any, Any],
    services: Parts,
    caller: Caller,
    after: After = None,
    limit: Limit = 20,
) -> ListOf[JobObject]:
    """List the project's jobs, newest first; `metadata[key]=value` keeps those with that pair."""
    page = await services.store.jobs.page(
        project=caller.project,
        after=after,
        limit=limit,
        metadata=_metadata_filter(request),
    )
    return ListOf(data=[job_object(job) for job in page.data], has_more=page.has_more)


@get("/{job_id:str}")
async def get_job(services: Parts, caller: Caller, job_id: FromPath[str]) -> JobObject:
    """Return a job."""
    return job_object(await services.store.jobs.get(job_id, project=caller.project))


@post("/{job_id:str}/cancel", status_code=200, responses=may(409))
async def cancel_job(services: Parts, caller: Caller, job_id: FromPath[str]) -> JobObject:
    """Cancel a job that has not finished; the trainer stops it within a second or two."""
    present = await services.store.jobs.get(job_id, project=caller.project)
    now = int(time.time())
    job = await services.store.jobs.move(
        job_id,
        JobStatus.CANCELLED,
        event=new_event(present, "The job was cancelled.", now=now),
        project=caller.project,
        finished_at=now,
        estimated_finish=None,
    )
    return job_object(job)


@post(["/{job_id:str}/pause", "/{job_id:str}/resume"], status_code=400)
async def pause_or_resume_job(services: Parts, caller: Caller, job_id: FromPath[str]) -> None:
    """Not supported yet: answers 400. Cancel the job, or let it finish."""
    await services.store.jobs.get(job_id, project=caller.project)
    message = "Pausing and resuming jobs is not supported yet; cancel the job or let it finish."
    raise Invalid(message, None, "unsupported_operation")


@get("/{job_id:str}/events")
async def list_events(
    services: Parts, caller: Caller, job_id: FromPath[str], after: After = None, limit: Limit = 20
) -> ListOf[EventObject]:
    """List a job's events, newest first."""
    await services.store.jobs.get(job_id, project=caller.project)
    page = await services.store.jobs.events(job_id, after=after, limit=limit)
    return ListOf(data=[event_object(event) for event in page.data], has_more=page.has_more)


@get("/{job_id:str}/checkpoints")
async def list_checkpoints(
    services: Parts, caller: Caller, job_id: FromPath[str], after: After = None, limit: Limit = 10
) -> CheckpointList:
    """List a job's checkpoints, newest first."""
    await services.store.jobs.get(job_id, project=caller.project)
    page = await services.store.jobs.checkpoints(job_id, after=after, limit=limit)
    return checkpoint_list(page.data, has_more=page.has_more)


async def _require_parent(services: Services, job: FineTuningJob) -> None:
    """Refuse a job that cannot go on from the version it names."""
    base_name = services.settings.base_name
    if job.model == base_name:
        return
    version = await services.store.adapters.get(job.model, project=job.project)
    if version.status not in (AdapterStatus.PUBLISHED, AdapterStatus.READY):
        message = f"The model '{version.name}' is {version.status}; training cannot go on from it."
        raise Invalid(message, "model", "model_not_trainable")
    if version.base_model != base_name:
        message = (
            f"The model '{version.name}' belongs to the base model '{version.base_model}', and "
            f"this server has '{base_name}'."
        )
        raise Invalid(message, "model", "model_not_trainable")


async def _require_file(
    services: Services, job: FineTuningJob, param: str, purposes: set[Purpose]
) -> None:
    file_id: str | None = getattr(job, param)
    if file_id is None:
        return
    try:
        file = await services.store.files.get(file_id, project=job.project)
    except NotFound as exc:
        raise Invalid(str(exc), param, "file_not_found") from exc
    if file.purpose not in purposes:
        wanted = " or ".join(f"'{purpose}'" for purpose in sorted(purposes))
        message = f"The file '{file.id}' has the purpose '{file.purpose}', not {wanted}."
        raise Invalid(message, param)


def _metadata_filter(request: Request[Any, Any, Any]) -> dict[str, str]:
    pairs = {}
    for name, value in request.query_params.items():
        if not name.startswith("metadata["):
            continue
        match = _METADATA_FILTER.fullmatch(name)
        if match is None:
            raise Invalid("Filter with 'metadata[key]=value'.", "metadata")
        pairs[match[1]] = str(value)
    return pairs


router = Router(
    "/v1/fine_tuning/jobs",
    route_handlers=[
        create_job,
        list_jobs,
        get_job,
        cancel_job,
        pause_or_resume_job,
        list_events,
        list_checkpoints,
    ],
    guards=[needs(Scope.TRAINING)],
    tags=["Fine-tuning"],
)
