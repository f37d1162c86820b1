"""`/v1/files/{id}/report` and `…/rows/{line}`: what is right and wrong with a file.

It refuses to know how it is found.
"""

from typing import Annotated

from litestar import MediaType, Response, Router, get
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import FromPath, PathParameter, QueryParameter

from registry.inspection.page import render_page
from registry.inspection.records import Report, RowView
from registry.records import Scope
from service.auth import needs
from service.context import Caller, Parts
from service.description import described, may
from service.services import Services

HTML = "text/html"
"""The media type of a page."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"

Validation = Annotated[
    str | None, QueryParameter(description="File whose rows must not be known from training.")
]
Line = Annotated[int, PathParameter(ge=1, description="Line the row begins on, from 1.")]


@get("/{file_id:str}/report", responses=may(404, 507))
async def get_report(
    services: Parts, caller: Caller, file_id: FromPath[str], validation_file: Validation = None
) -> Report:
    """Report on a file's rows: tokens, repeats, contradictions, formats, secrets, leakage.

    The first time it takes as long as it takes to read the file; then it is kept.
    """
    return await _report(services, caller.project, file_id, validation_file)


@get(
    "/{file_id:str}/report.html",
    media_type=MediaType.HTML,
    operation_class=described(answer={HTML: Schema(type=OpenAPIType.STRING)}),
    responses=may(404, 507),
)
async def get_report_page(
    services: Parts, caller: Caller, file_id: FromPath[str], validation_file: Validation = None
) -> Response[str]:
    """Return the same report as a page that needs nothing else."""
    report = await _report(services, caller.project, file_id, validation_file)
    return Response(
        render_page(report),
        media_type=MediaType.HTML,
        headers={"content-security-policy": _POLICY},
    )


@get("/{file_id:str}/rows/{line:int}", responses=may(404))
async def get_row(services: Parts, caller: Caller, file_id: FromPath[str], line: Line) -> RowView:
    """Return a row as it is trained on: text, tokens, and which of them carry loss."""
    file = await services.store.files.get(file_id, project=caller.project)
    return await services.reports.row(file, line)


async def _report(
    services: Services, project: str, file_id: str, validation_id: str | None
) -> Report:
    file = await services.store.files.get(file_id, project=project)
    validation = (
        None
        if validation_id is None
        else await services.store.files.get(validation_id, project=project)
    )
    return await services.reports.report(file, validation)


router = Router(
    "/v1/files",
    route_handlers=[get_report, get_report_page, get_row],
    guards=[needs(Scope.TRAINING)],
    tags=["Files"],
)
