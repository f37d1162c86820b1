"""The engine's doors for inference, and the only ones: one for each dialect.

It refuses to know how one is answered: `inference.py` does, and `front.py` leads there directly.
"""

from typing import Any

from litestar import Request, get, post
from litestar.enums import ParamType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.params import FromPath
from litestar.types import ASGIApp

from registry.errors import Invalid
from registry.records import Scope
from service.auth import needs
from service.description import JSON, described, may
from service.dialects.dialect import Dialect
from service.dialects.table import DIALECTS
from service.inference import Inference
from service.streaming import StreamReader

_NOT_KEPT = "'{}' cannot be found: answers are not kept; create a new one."
_UNIT = Parameter(
    "x-graftline-unit",
    ParamType.HEADER,
    Schema(type=OpenAPIType.STRING),
    description="What a split keeps together, unless the body names it.",
)
_SCHEMAS = {
    str: Schema(type=[OpenAPIType.STRING, OpenAPIType.ARRAY], items=Schema()),
    int: Schema(type=OpenAPIType.INTEGER, minimum=1),
    list: Schema(type=OpenAPIType.ARRAY, items=Schema()),
}


def _handler(dialect: Dialect) -> HTTPRouteHandler:
    async def answer(request: Request[Any, Any, Any]) -> ASGIApp:
        return Inference(request.app.state.services, dialect)

    return post(
        dialect.path,
        status_code=200,
        name=dialect.name,
        operation_id=dialect.name.replace(".", "_"),
        summary=dialect.summary,
        description=f"{dialect.summary} `model` is a deployment, a version or the base model; "
        "all other fields reach the engine as they come.",
        tags=["Inference"],
        operation_class=_operation(dialect),
        responses=may(404, 429, 500),
    )(answer)


def _operation(dialect: Dialect) -> type[Operation]:
    """Return an operation that describes the body, which the route itself leaves as bytes."""
    schema = Schema(
        type=OpenAPIType.OBJECT,
        properties={
            "model": Schema(type=OpenAPIType.STRING, min_length=1),
            "stream": Schema(type=[OpenAPIType.BOOLEAN, OpenAPIType.NULL]),
            **{
                name: _SCHEMAS[kind]
                for name, kind in {**dialect.required, **dialect.optional}.items()
            },
        },
        required=["model", *dialect.required],
    )
    answer = {JSON: Schema(type=OpenAPIType.OBJECT)}
    if dialect.stream_reader is not StreamReader:
        answer["text/event-stream"] = Schema(description="Events, each with JSON as its data.")
    return described(body={JSON: schema}, answer=answer, parameters=[_UNIT])


@get(
    "/v1/responses/{response_id:str}",
    status_code=400,
    guards=[needs(Scope.INFERENCE)],
    tags=["Inference"],
)
async def get_response(response_id: FromPath[str]) -> None:
    """Refuse: answers are not kept."""
    raise Invalid(_NOT_KEPT.format(response_id), "response_id", "not_kept")


@post(
    "/v1/responses/{response_id:str}/cancel",
    status_code=400,
    guards=[needs(Scope.INFERENCE)],
    tags=["Inference"],
)
async def cancel_response(response_id: FromPath[str]) -> None:
    """Refuse: no answer is made in the background."""
    raise Invalid(_NOT_KEPT.format(response_id), "response_id", "not_kept")


handlers = [*(_handler(dialect) for dialect in DIALECTS), get_response, cancel_response]
"""The route handlers of this room."""
