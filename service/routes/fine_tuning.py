"""`/v1/fine_tuning/jobs`: asking for training, and following it.

It refuses to train: a job's row is the message that the trainer picks up.
"""

import re
import secrets
import time
from typing import Annotated, Any, cast

from litestar import Request, Response, Router, get, post
from litestar.enums import ParamType
from litestar.openapi.spec import OpenAPIType, Parameter, Schema
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream

from registry.errors import IllegalTransition, Invalid
from registry.lifecycle import JobStatus
from registry.records import Scope
from registry.reporting import check_targets, read_integrations
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import EVENT_STREAM, described, may
from service.job_files import require_files, require_parent
from service.job_request import MAX_SEED, first_event, new_event, new_job
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
    description="Only jobs with these pairs; `metadata=null` keeps those without any.",
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
    await require_parent(services.store, job, services.settings.base_name)
    await require_files(services.store, job)
    check_targets(read_integrations(job.integrations), services.settings)
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


@post("/{job_id:str}/pause", status_code=200, responses=may(409))
async def pause_job(services: Parts, caller: Caller, job_id: FromPath[str]) -> JobObject:
    """Pause a job that waits or runs; what it learnt so far is kept. A second call changes nothing.

    A job whose files are still being validated is not paused: it is queued within seconds.
    """
    present = await services.store.jobs.get(job_id, project=caller.project)
    job = await services.store.jobs.bring(
        job_id,
        JobStatus.PAUSED,
        already={JobStatus.PAUSED},
        event=new_event(present, "The job was paused.", now=int(time.time())),
        project=caller.project,
        estimated_finish=None,
    )
    return job_object(job)


@post("/{job_id:str}/resume", status_code=200, responses=may(409))
async def resume_job(services: Parts, caller: Caller, job_id: FromPath[str]) -> JobObject:
    """Queue a paused job again; it goes on where it was. A second call changes nothing."""
    present = await services.store.jobs.get(job_id, project=caller.project)
    if present.status is JobStatus.VALIDATING_FILES:  # to queue it would skip the validation
        raise IllegalTransition("fine-tuning job", job_id, present.status, "resumed")
    job = await services.store.jobs.bring(
        job_id,
        JobStatus.QUEUED,
        already={JobStatus.QUEUED, JobStatus.RUNNING},
        event=new_event(present, "The job was resumed.", now=int(time.time())),
        project=caller.project,
    )
    return job_object(job)


@get(
    "/{job_id:str}/events",
    responses=may(404),
    operation_class=described(also={EVENT_STREAM: Schema(type=OpenAPIType.STRING)}),
)
async def list_events(
    request: Request[Any, Any, Any],
    services: Parts,
    caller: Caller,
    job_id: FromPath[str],
    after: After = None,
    limit: Limit = 20,
    stream: Annotated[bool, QueryParameter(description="Send events as they come.")] = False,  # noqa: FBT002 - a query has no positions
) -> Response[ListOf[EventObject]]:
    """List a job's events, newest first; or send them as they come, the oldest first.

    With `stream=true` the answer is a stream of server-sent events: first those there are, then
    each new one, until the job has ended (`data: [DONE]`). It goes on behind the event that `after`
    or the header `Last-Event-ID` names; `limit` means nothing then.
    """
    await services.store.jobs.get(job_id, project=caller.project)
    if stream:
        after = after or request.headers.get("last-event-id")
        events = await services.following.begin(job_id, after=after)
        headers = {"cache-control": "no-store"}
        answer: Any = Stream(events, media_type=EVENT_STREAM, headers=headers)
        # Litestar knows no answer that is one or the other.
        return cast("Response[ListOf[EventObject]]", answer)
    page = await services.store.jobs.events(job_id, after=after, limit=limit)
    listed = [event_object(event) for event in page.data]
    return Response(ListOf(data=listed, has_more=page.has_more))


@get("/{job_id:str}/checkpoints")
async def list_checkpoints(
    services: Parts, caller: Caller, job_id: FromPath[str], after: After = None, limit: Limit = 10
) -> CheckpointList:
    """List a job's checkpoints, newest first."""
    await services.store.jobs.get(job_id, project=caller.project)
    page = await services.store.jobs.checkpoints(job_id, after=after, limit=limit)
    return checkpoint_list(page.data, has_more=page.has_more)


def _metadata_filter(request: Request[Any, Any, Any]) -> dict[str, str] | None:
    """Return the pairs that are asked for: an empty dictionary for jobs without any."""
    pairs = {}
    for name, value in request.query_params.items():
        if not name.startswith("metadata["):
            continue
        match = _METADATA_FILTER.fullmatch(name)
        if match is None:
            raise Invalid("Filter with 'metadata[key]=value'.", "metadata")
        pairs[match[1]] = str(value)
    whole = request.query_params.get("metadata")
    if whole is None:
        return pairs or None
    if whole != "null" or pairs:
        raise Invalid(
            "Filter with 'metadata[key]=value', or with 'metadata=null' for jobs without metadata.",
            "metadata",
        )
    return {}


router = Router(
    "/v1/fine_tuning/jobs",
    route_handlers=[
        create_job,
        list_jobs,
        get_job,
        cancel_job,
        pause_job,
        resume_job,
        list_events,
        list_checkpoints,
    ],
    guards=[needs(Scope.TRAINING)],
    tags=["Fine-tuning"],
)
