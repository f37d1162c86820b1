"""`/v1/evaluations`: asking for exams, and their verdicts.

It refuses to examine: an evaluation's row is the message that the evals process picks up.
"""

import time
from typing import Annotated

import msgspec
from anyio import to_thread
from litestar import Router, get, post
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import File

from registry.errors import Conflict, Invalid
from registry.identifiers import new_id
from registry.lifecycle import EvaluationStatus
from registry.policy import policy_in_force, resolve_policy
from registry.records import Evaluation, Scope
from registry.reports import ReportFormat, report_path
from registry.sample_size import plan
from service import promotion
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import JSON, described, may
from service.exam_request import options_of, require_file
from service.services import Services
from service.wire.evaluations import (
    CreateEvaluation,
    EvaluationObject,
    RowObject,
    evaluation_object,
    row_object,
)
from service.wire.lists import ListOf
from service.wire.plans import PlanEvaluation, PlanObject, plan_object

_HTML = "text/html"
_CSV = "text/csv"


@post("/", status_code=200, responses=may(404, 409))
async def create_evaluation(
    services: Parts, caller: Caller, data: JSONBody[CreateEvaluation]
) -> EvaluationObject:
    """Ask for an adapter version to be examined on held-out rows."""
    version = await services.store.adapters.get(data.model, project=caller.project)
    promotion.check_serving(version)
    heldout = data.heldout_file or version.heldout_file
    if heldout is None:
        message = "The model has no held-out rows of its own; name a file."
        raise Invalid(message, "heldout_file")
    await require_file(services.store, caller.project, heldout, "heldout_file")
    default = await to_thread.run_sync(policy_in_force, services.settings.policy_file)
    training = data.training_file or version.training_file
    if data.training_file is not None:
        await require_file(services.store, caller.project, data.training_file, "training_file")
    policy = resolve_policy(data.policy or {}, default)
    evaluation = Evaluation(
        id=new_id("eval"),
        project=caller.project,
        adapter=version.name,
        heldout_file=heldout,
        training_file=training,
        policy=msgspec.to_builtins(policy),
        status=EvaluationStatus.QUEUED,
        created_at=int(time.time()),
        options=await options_of(services.store, services.settings, data, version, policy),
    )
    await services.store.evaluations.add(evaluation)
    return evaluation_object(evaluation)


@post("/plan", status_code=200)
async def plan_evaluation(data: JSONBody[PlanEvaluation]) -> PlanObject:
    """Tell how many rows show an effect, or which effect a number of rows shows."""
    return plan_object(plan(data))


@get("/")
async def list_evaluations(
    services: Parts,
    caller: Caller,
    model: Annotated[str | None, QueryParameter(description="Name of the adapter version.")] = None,
    after: After = None,
    limit: Limit = 20,
) -> ListOf[EvaluationObject]:
    """List the project's evaluations, newest first."""
    page = await services.store.evaluations.page(
        project=caller.project, adapter=model, after=after, limit=limit
    )
    data = [evaluation_object(evaluation) for evaluation in page.data]
    return ListOf(data=data, has_more=page.has_more)


@get("/{evaluation_id:str}")
async def get_evaluation(
    services: Parts, caller: Caller, evaluation_id: FromPath[str]
) -> EvaluationObject:
    """Return an evaluation with its results."""
    found = await services.store.evaluations.get(evaluation_id, project=caller.project)
    return evaluation_object(found)


@get("/{evaluation_id:str}/rows")
async def list_rows(
    services: Parts, caller: Caller, evaluation_id: FromPath[str]
) -> ListOf[RowObject]:
    """List every answer of every arm, by suite, row and arm."""
    await services.store.evaluations.get(evaluation_id, project=caller.project)
    rows = await services.store.evaluations.rows(evaluation_id)
    return ListOf(data=[row_object(row) for row in rows])


@get(
    "/{evaluation_id:str}/report.html",
    media_type=_HTML,
    operation_class=described(answer={_HTML: Schema(type=OpenAPIType.STRING)}),
    responses=may(404, 409),
)
async def get_page(services: Parts, caller: Caller, evaluation_id: FromPath[str]) -> File:
    """Return the report as one page that needs nothing but itself."""
    return await _report(services, caller.project, evaluation_id, ReportFormat.HTML, _HTML)


@get(
    "/{evaluation_id:str}/report.csv",
    media_type=_CSV,
    operation_class=described(answer={_CSV: Schema(type=OpenAPIType.STRING)}),
    responses=may(404, 409),
)
async def get_table(services: Parts, caller: Caller, evaluation_id: FromPath[str]) -> File:
    """Return a line for each row and arm, with every score."""
    return await _report(services, caller.project, evaluation_id, ReportFormat.CSV, _CSV)


@get(
    "/{evaluation_id:str}/report.json",
    media_type=JSON,
    operation_class=described(answer={JSON: Schema(type=OpenAPIType.OBJECT)}),
    responses=may(404, 409),
)
async def get_document(services: Parts, caller: Caller, evaluation_id: FromPath[str]) -> File:
    """Return everything but the answers, with what it takes to do the same again."""
    return await _report(services, caller.project, evaluation_id, ReportFormat.JSON, JSON)


async def _report(
    services: Services, project: str, evaluation_id: str, kind: ReportFormat, media_type: str
) -> File:
    evaluation = await services.store.evaluations.get(evaluation_id, project=project)
    path = report_path(services.settings.exam_reports_dir, evaluation.id, kind)
    if not path.exists():
        why = (
            "it was made before reports were written; ask for another one"
            if evaluation.status == EvaluationStatus.SUCCEEDED
            else f"it is {evaluation.status}; a report is written when its answers are all there"
        )
        raise Conflict(f"The evaluation '{evaluation.id}' has no report: {why}.")
    return File(
        path=path,
        filename=path.name,
        media_type=media_type,
        content_disposition_type="inline",
        headers={
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            "x-content-type-options": "nosniff",
        },
    )


router = Router(
    "/v1/evaluations",
    route_handlers=[
        create_evaluation,
        plan_evaluation,
        list_evaluations,
        get_evaluation,
        list_rows,
        get_page,
        get_table,
        get_document,
    ],
    guards=[needs(Scope.TRAINING)],
    tags=["Evaluations"],
)
