"""The engine's doors for inference, and the only ones: one for each dialect.

It refuses to know how one is answered: `inference.py` does, and `front.py` leads there directly.
"""

from dataclasses import dataclass
from typing import Any

from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath
from litestar.types import ASGIApp

from registry.errors import Invalid
from registry.records import Scope
from service.auth import needs
from service.dialects.dialect import Dialect
from service.dialects.table import DIALECTS
from service.inference import Inference

_NOT_KEPT = "'{}' cannot be found: answers are not kept; create a new one."
_SCHEMAS = {
    str: Schema(type=OpenAPIType.STRING),
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
    )(answer)


def _operation(dialect: Dialect) -> type[Operation]:
    """Return an operation that describes the body, which the route itself leaves as bytes."""
    schema = Schema(
        type=OpenAPIType.OBJECT,
        properties={
            "model": Schema(type=OpenAPIType.STRING, min_length=1),
            "stream": Schema(type=OpenAPIType.BOOLEAN),
            **{name: _SCHEMAS[kind] for name, kind in dialect.required.items()},
        },
        required=["model", *dialect.required],
    )
    body = RequestBody(content={"application/json": OpenAPIMediaType(schema=schema)}, required=True)

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return Described


@get("/v1/responses/{response_id:str}", guards=[needs(Scope.INFERENCE)], tags=["Inference"])
async def get_response(response_id: FromPath[str]) -> None:
    """Refuse: answers are not kept."""
    raise Invalid(_NOT_KEPT.format(response_id), "response_id", "not_kept")


@post("/v1/responses/{response_id:str}/cancel", guards=[needs(Scope.INFERENCE)], tags=["Inference"])
async def cancel_response(response_id: FromPath[str]) -> None:
    """Refuse: no answer is made in the background."""
    raise Invalid(_NOT_KEPT.format(response_id), "response_id", "not_kept")


handlers = [*(_handler(dialect) for dialect in DIALECTS), get_response, cancel_response]
"""The route handlers of this room."""
