"""What each error looks like to a client: one table to HTTP status, and its body in two shapes.

It refuses to know which route raised the error, and never shows an unexpected error's own words.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException

from registry import errors
from service.dialects.shapes import Shape, shape_of
from service.dice import DICE
from service.limits import rate_limit_headers
from service.wire.anthropic import AnthropicError, error_of

logger = logging.getLogger(__name__)


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """The inside of an error's body, in OpenAI's shape."""

    message: str
    """What is wrong, and how to mend it."""
    type: str
    """`invalid_request_error` or `server_error`; `requests` or `tokens` for a used-up limit."""
    param: str | None
    """The request's parameter at fault."""
    code: str | int | None
    """A stable word; a number in an error of the engine's own."""


class ErrorBody(msgspec.Struct, frozen=True):
    """An error's body, in OpenAI's shape."""

    error: Detail
    """The only field."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """An error, ready to be sent."""

    status: int
    """HTTP status."""
    body: ErrorBody
    """What the client reads."""
    headers: Mapping[str, str]
    """Headers beside the usual ones."""

    def body_in(self, shape: Shape) -> ErrorBody | AnthropicError:
        """Return the body in a shape."""
        if shape is Shape.OPENAI:
            return self.body
        return error_of(self.status, self.body.error.message, self.headers["x-request-id"])

    def encode(self, shape: Shape = Shape.OPENAI) -> bytes:
        """Return the body as JSON."""
        return msgspec.json.encode(self.body_in(shape))


class _EngineDetail(msgspec.Struct):
    message: str


class _EngineError(msgspec.Struct):
    error: _EngineDetail


class _Unread(msgspec.Struct):
    detail: str


@dataclass(frozen=True)
class _Fault:
    param: str | None
    sentence: str


@dataclass(frozen=True)
class _Rule:
    status: int
    code: str


_RULES: Mapping[type[errors.GraftlineError], _Rule] = {
    errors.NotFound: _Rule(404, "not_found"),
    errors.Conflict: _Rule(409, "conflict"),
    errors.IllegalTransition: _Rule(409, "illegal_transition"),
    errors.InUse: _Rule(409, "in_use"),
    errors.NotPromotable: _Rule(409, "not_promotable"),
    errors.PolicyUnusable: _Rule(409, "policy_unusable"),
    errors.Invalid: _Rule(400, "invalid_value"),
    errors.Unauthenticated: _Rule(401, "invalid_api_key"),
    errors.MissingScope: _Rule(403, "missing_scope"),
    errors.RateLimited: _Rule(429, "rate_limit_exceeded"),
    errors.Unavailable: _Rule(503, "unavailable"),
    errors.TooLarge: _Rule(413, "file_too_large"),
    errors.BodyTooLarge: _Rule(413, "request_too_large"),
    errors.StorageFull: _Rule(507, "storage_full"),
    errors.EngineError: _Rule(502, "engine_error"),
}
_BODY = "data"
"""Litestar's name for the body as a whole."""
_LONGEST_WORDS = 500
_MISSING = re.compile(r"missing required field `([^`]+)`")
_HTTP_CODES = {404: "unknown_url", 405: "method_not_allowed", 413: "request_too_large"}


def new_request_id() -> str:
    """Return an id for one request: 32 hexadecimal digits, milliseconds first, then 80 random bits.

    Ids made one after the other stand side by side in an index. Random ones touch a page of it for
    each row, which costs the database time and writing. They are names, not secrets: one that is
    guessed opens nothing without a key of its project.
    """
    return f"{time.time_ns() // 1_000_000:012x}{DICE.getrandbits(80):020x}"


def problem_of(error: Exception, request_id: str) -> Problem:
    """Return what a client is told about an error.

    Args:
        error: Any error: ours, Litestar's or an unexpected one.
        request_id: Named in the answer to an unexpected error, which says nothing else.
    """
    if isinstance(error, errors.GraftlineError):
        rule = next((_RULES[kind] for kind in type(error).__mro__ if kind in _RULES), None)
        if rule is not None:
            return _ours(error, rule, request_id)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _litestars(error, request_id)
    if isinstance(error, RecursionError):  # only the decoding of JSON recurses
        message = "The request's JSON is nested too deeply."
        return _problem(400, message, request_id, code="invalid_request")
    message = f"The server had an error. Its log tells more under the request id {request_id}."
    return _problem(500, message, request_id, code="internal_error")


def stream_event(problem: Problem, shape: Shape) -> bytes:
    """Return an error as the last event of a stream that has begun."""
    begin = b"data: " if shape is Shape.OPENAI else b"event: error\ndata: "
    return begin + problem.encode(shape) + b"\n\n"


def in_shape(body: bytes, status: int, shape: Shape, request_id: str) -> bytes:
    """Return the engine's own error in a shape; OpenAI's is the engine's and stays as it is.

    vLLM answers Anthropic's clients in OpenAI's shape where it checks the body's fields, and with
    types of its own elsewhere: `detail` where it cannot read the body. What is no error at all,
    such as the bare words of a server that fell over, is put into one.
    """
    try:
        message = msgspec.json.decode(body, type=_EngineError).error.message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        message = _words_of(body)
    else:
        if shape is Shape.OPENAI:
            return body
    if shape is Shape.OPENAI:
        return _problem(status, message, request_id, code="engine_error").encode()
    return msgspec.json.encode(error_of(status, message, request_id))


def _words_of(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Unread).detail
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body[:_LONGEST_WORDS].decode(errors="replace") or "The engine gave no reason."


def handle(
    request: Request[Any, Any, Any], error: Exception
) -> Response[ErrorBody | AnthropicError]:
    """Answer a request that ended in an error; unexpected errors are logged with their trace."""
    request_id = str(request.state.get("request_id") or new_request_id())
    problem = problem_of(error, request_id)
    if problem.status == 500:
        logger.error("request %s failed", request_id, exc_info=error)
    return Response(
        problem.body_in(shape_of(request.url.path, request.headers)),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type="application/json",
    )


def _ours(error: errors.GraftlineError, rule: _Rule, request_id: str) -> Problem:
    status, code, param, headers = rule.status, rule.code, None, {}
    kind: str | None = None
    match error:
        case errors.NotFound(kind="model"):
            param, code = "model", "model_not_found"
        case errors.Invalid():
            param, code = error.param, error.code or code
        case errors.Unavailable():
            headers = {"retry-after": str(error.retry_after_seconds)}
            code = f"{error.part}_unavailable"
        case errors.Unauthenticated():
            headers = {"www-authenticate": "Bearer"}
        case errors.RateLimited():
            kind = error.exceeded.kind
            headers = rate_limit_headers(error.allowances)
            headers["retry-after"] = str(error.exceeded.reset_seconds)
        case errors.EngineError() if 400 <= error.status < 500:
            status = error.status
    return _problem(
        status, str(error), request_id, code=code, param=param, headers=headers, kind=kind
    )


def _litestars(error: HTTPException, request_id: str) -> Problem:
    status = error.status_code
    code = _HTTP_CODES.get(status, "invalid_request")
    message, param, headers = error.detail, None, {}
    cause = error.__cause__ or error
    if isinstance(error, ValidationException) and isinstance(error.extra, list) and error.extra:
        faults = [_fault_of(fault) for fault in error.extra if isinstance(fault, dict)]
        param = next((fault.param for fault in faults if fault.param), None)
        message = " ".join(fault.sentence for fault in faults)
    elif isinstance(cause, SerializationException) or status == 400:
        message = f"The request cannot be read: {error.detail}."
    elif status == 404:
        message = "There is nothing at this URL."
    elif status == 405:
        headers = {"allow": (error.headers or {}).get("allow", "")}
        message = f"This URL takes no such method; it takes {headers['allow']}."
    return _problem(status, message, request_id, code=code, param=param, headers=headers)


def _fault_of(fault: dict[str, Any]) -> _Fault:
    key, message = fault.get("key"), str(fault.get("message", "wrong value")).rstrip(".")
    if missing := _MISSING.search(message):
        return _Fault(missing[1], f"'{missing[1]}' is required.")
    if key == _BODY:
        words = "The request needs a JSON body" if message == repr(_BODY) else message
        return _Fault(None, f"{words}.")
    return _Fault(str(key), f"'{key}': {message}.") if key else _Fault(None, f"{message}.")


def _problem(
    status: int,
    message: str,
    request_id: str,
    *,
    code: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
    kind: str | None = None,
) -> Problem:
    kind = kind or ("server_error" if status >= 500 else "invalid_request_error")
    body = ErrorBody(error=Detail(message=message, type=kind, param=param, code=code))
    return Problem(
        status=status, body=body, headers={"x-request-id": request_id, **(headers or {})}
    )
