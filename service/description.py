"""The published description of the API: what the routes' own types do not tell is added here.

It refuses to know the routes: the same error is described wherever the same thing can happen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Components,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    SecurityRequirement,
    SecurityScheme,
)

from service.dialects.shapes import VERSION_HEADER, Shape, shape_of
from service.problems import ErrorBody
from service.wire.anthropic import AnthropicError

BYTES = "application/octet-stream"
"""The media type of files."""
EVENT_STREAM = "text/event-stream"
"""The media type of streams of server-sent events."""
MARKDOWN = "text/markdown"
"""The media type of model cards."""
JSON = "application/json"
"""The media type of almost every body."""
MULTIPART = "multipart/form-data"
"""The media type of uploads."""
OPEN: SecurityRequirement = {}
"""Among the ways to be let in: none is needed."""
METRICS_KEY: SecurityRequirement = {"metrics_key": []}
"""The key of `/metrics`, where one is set."""
_ABOUT = (
    "Fine-tune, serve, compare and watch language models on your own machines, through OpenAI's "
    "and Anthropic's APIs. Send an API key as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."
)
_ERRORS: Mapping[int, str] = {
    400: "The request is at fault; the message names the field and the remedy.",
    401: "No key came with the request, or not one of ours, or one that expired.",
    403: "The key lacks the scope.",
    404: "Nothing of this name belongs to the key's project.",
    409: "The request contradicts the present state.",
    413: "The request is too large.",
    429: "The key used up its requests or tokens of this minute.",
    500: "The engine failed.",
    503: "A part is down, or has as much as it can hold; try again.",
    507: "The disk is full.",
}
_ALWAYS = (400, 401, 403, 503)
_HEADERS: Mapping[int, Mapping[str, str]] = {
    401: {"www-authenticate": "string"},
    429: {"retry-after": "integer"},
    503: {"retry-after": "integer"},
}
_EITHER = "either"
_SHAPES: Mapping[str, Sequence[type]] = {
    Shape.OPENAI: (ErrorBody,),
    Shape.ANTHROPIC: (AnthropicError,),
    _EITHER: (ErrorBody, AnthropicError),
}
_SCHEMAS = "#/components/schemas/"
_RESPONSES = "#/components/responses/"


def form_schema(
    *, files: Mapping[str, str], fields: Mapping[str, Schema], required: Sequence[str]
) -> Schema:
    """Return the schema of a multipart form: its files, with what each is, and its text fields."""
    parts = {
        name: Schema(type=OpenAPIType.STRING, content_media_type=BYTES, description=meaning)
        for name, meaning in files.items()
    }
    return Schema(type=OpenAPIType.OBJECT, properties={**parts, **fields}, required=list(required))


def may(*statuses: int) -> dict[int, ResponseSpec]:
    """Return what a handler declares that can end in these errors, beside the usual ones.

    A wrong request, a missing key or scope and a part that is down are described for every route
    with a key; 404 wherever a path or a cursor names something, 413 wherever there is a body.
    """
    return {
        status: ResponseSpec(ErrorBody, generate_examples=False, description=_ERRORS[status])
        for status in statuses
    }


def described(
    *,
    body: Mapping[str, Schema] | None = None,
    answer: Mapping[str, Schema] | None = None,
    also: Mapping[str, Schema] | None = None,
    parameters: Sequence[Parameter] = (),
) -> type[Operation]:
    """Return an operation that tells what a handler reads and sends by itself.

    Args:
        body: The request's body by media type.
        answer: The successful answer by media type.
        also: Media types that the successful answer may have beside the one of its type.
        parameters: Parameters that the handler's signature does not name.
    """

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            if body is not None:
                self.request_body = RequestBody(content=_content(body), required=True)
            if answer is not None:
                whole = OpenAPIResponse(description="The answer.", content=_content(answer))
                self.responses = {**(self.responses or {}), "200": whole}
            if also is not None:
                self._allow(also)
            if parameters:
                self.parameters = [*(self.parameters or []), *parameters]

        def _allow(self, also: Mapping[str, Schema]) -> None:
            usual = (self.responses or {})["200"]
            if isinstance(usual, OpenAPIResponse):
                usual.content = {**(usual.content or {}), **_content(also)}

    return Described


class DescriptionConfig(OpenAPIConfig):
    """How the description is made and what it says of the whole."""

    def __init__(self) -> None:
        schemes = {
            "api_key": SecurityScheme(
                type="http", scheme="bearer", description="An API key of Graftline."
            ),
            "x_api_key": SecurityScheme(
                type="apiKey",
                name="x-api-key",
                security_scheme_in="header",
                description="The same.",
            ),
            "metrics_key": SecurityScheme(
                type="http", scheme="bearer", description="GRAFTLINE_METRICS_KEY, where it is set."
            ),
        }
        super().__init__(
            title="Graftline",
            version="1",
            description=_ABOUT,
            components=Components(security_schemes=dict(schemes)),
            security=[{"api_key": []}, {"x_api_key": []}],
            use_handler_docstrings=True,
        )

    def to_openapi_schema(self) -> OpenAPI:
        """Return the description, still without its paths."""
        plain = super().to_openapi_schema()
        return _Description(
            info=plain.info,
            components=plain.components,
            servers=plain.servers,
            tags=plain.tags,
            security=plain.security,
            paths={},
        )


@dataclass
class _Description(OpenAPI):
    def to_schema(self) -> dict[str, Any]:
        """Return the whole description as JSON."""
        return completed(super().to_schema())


def completed(description: dict[str, Any]) -> dict[str, Any]:
    """Return a description in which every operation tells the errors that it can end in."""
    components = description["components"]
    bodies = {kind for kinds in _SHAPES.values() for kind in kinds}
    _, schemas = msgspec.json.schema_components(
        sorted(bodies, key=lambda kind: kind.__name__), ref_template=_SCHEMAS + "{name}"
    )
    components["schemas"] = {**components["schemas"], **schemas}
    components["responses"] = {
        f"{shape}_{status}": _error(status, kinds)
        for shape, kinds in _SHAPES.items()
        for status in _ERRORS
    }
    for path, operations in description["paths"].items():
        for operation in operations.values():
            _complete(operation, _shape_at(path))
    return description


def _complete(operation: dict[str, Any], shape: str) -> None:
    responses: dict[str, Any] = operation["responses"]
    is_open = OPEN in operation.get("security", ())
    statuses = {int(status) for status in responses if int(status) in _ERRORS}
    if not is_open:
        statuses |= {*_ALWAYS, *_of_parameters(operation.get("parameters", ()))}
        if "requestBody" in operation:
            statuses.add(413)
        responses |= {str(status): {"$ref": f"{_RESPONSES}{shape}_{status}"} for status in statuses}
        operation["responses"] = dict(sorted(responses.items()))


def _of_parameters(parameters: Iterable[Mapping[str, Any]]) -> set[int]:
    names_something = any(each["in"] == "path" or each["name"] == "after" for each in parameters)
    return {404} if names_something else set()


def _shape_at(path: str) -> str:
    """Return whose errors are met at a path; at the models a header decides."""
    usual, with_header = shape_of(path, {}), shape_of(path, {VERSION_HEADER: ""})
    return usual if usual is with_header else _EITHER


def _error(status: int, kinds: Sequence[type]) -> dict[str, Any]:
    references = [{"$ref": _SCHEMAS + kind.__name__} for kind in kinds]
    schema = references[0] if len(references) == 1 else {"oneOf": references}
    error: dict[str, Any] = {
        "description": _ERRORS[status],
        "content": {JSON: {"schema": schema}},
    }
    if status in _HEADERS:
        error["headers"] = {
            name: {"schema": {"type": kind}} for name, kind in _HEADERS[status].items()
        }
    return error


def _content(schemas: Mapping[str, Schema]) -> dict[str, OpenAPIMediaType]:
    return {kind: OpenAPIMediaType(schema=schema) for kind, schema in schemas.items()}
