"""`/v1/chat/completions` and `/v1/completions`: the engine's doors, and the only ones.

It refuses to know how an answer is found; `exchange.py` does.
"""

from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp

from registry.records import Scope
from service.auth import caller_of, needs
from service.exchange import CHAT, COMPLETIONS, Endpoint, Exchange
from service.inquiry import decode_inquiry
from service.problems import new_request_id

MAX_BODY_BYTES = 32 * 1024 * 1024
"""Largest request; a larger one is answered with 413."""
UNIT_HEADER = "x-graftline-unit"
"""Names the unit of a split when the body does not."""


@post(
    CHAT.path,
    status_code=200,
    guards=[needs(Scope.INFERENCE)],
    request_max_body_size=MAX_BODY_BYTES,
)
async def create_chat_completion(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answer a conversation, whole or streamed; `model` is a deployment, a version or the base."""
    return await _exchange(request, CHAT)


@post(
    COMPLETIONS.path,
    status_code=200,
    guards=[needs(Scope.INFERENCE)],
    request_max_body_size=MAX_BODY_BYTES,
)
async def create_completion(request: Request[Any, Any, Any]) -> ASGIApp:
    """Continue a text, whole or streamed; `model` is a deployment, a version or the base."""
    return await _exchange(request, COMPLETIONS)


async def _exchange(request: Request[Any, Any, Any], endpoint: Endpoint) -> Exchange:
    request_id = str(request.state.get("request_id") or new_request_id())
    request.state["request_id"] = request_id
    return Exchange(
        request.app.state.services,
        endpoint=endpoint,
        inquiry=decode_inquiry(await request.body(), request.headers.get(UNIT_HEADER)),
        key=caller_of(request),
        request_id=request_id,
    )


handlers = [create_chat_completion, create_completion]
"""The route handlers of this room."""
