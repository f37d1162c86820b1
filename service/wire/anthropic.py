"""Anthropic's errors and models, as its clients read them.

It refuses to know which errors and models there are.
"""

from datetime import UTC, datetime
from typing import Literal

import msgspec

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicDetail(msgspec.Struct, frozen=True):
    """The inside of an error's body."""

    type: str
    """One of Anthropic's words for what is wrong."""
    message: str
    """What is wrong, and how to mend it."""


class AnthropicError(msgspec.Struct, frozen=True, kw_only=True):
    """An error's body, in a stream the data of an event."""

    type: Literal["error"] = "error"
    """Always `error`."""
    error: AnthropicDetail
    """What is wrong."""
    request_id: str
    """Names the request in the logs."""


class AnthropicModel(msgspec.Struct, frozen=True, kw_only=True):
    """A name that can be sent as `model`."""

    type: Literal["model"] = "model"
    """Always `model`."""
    id: str
    """The name."""
    display_name: str
    """The name."""
    created_at: datetime
    """When it was made; the epoch when unknown."""
    lifecycle: Literal["active"] = "active"
    """Always `active`: what is retired is not listed."""


class AnthropicModels(msgspec.Struct, frozen=True, kw_only=True):
    """All models, on one page."""

    data: list[AnthropicModel]
    """The models."""
    has_more: Literal[False] = False
    """Always false."""
    first_id: str | None
    """The first one's name."""
    last_id: str | None
    """The last one's name."""


def error_of(status: int, message: str, request_id: str) -> AnthropicError:
    """Return an error's body for an HTTP status."""
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return AnthropicError(error=AnthropicDetail(kind, message), request_id=request_id)


def model_of(name: str, created: int) -> AnthropicModel:
    """Return a model; `created` is in Unix seconds."""
    when = datetime.fromtimestamp(created, UTC)
    return AnthropicModel(id=name, display_name=name, created_at=when)
