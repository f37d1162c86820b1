"""`/v1/chat/completions` and `/v1/completions`, as Litestar knows and describes them.

It refuses to know how they are answered: `inference.py` does, and `front.py` leads there directly.
"""

from typing import Any

from litestar import Request, post
from litestar.types import ASGIApp

from service.exchange import CHAT, COMPLETIONS, Endpoint
from service.inference import Inference


@post(CHAT.path, status_code=200)
async def create_chat_completion(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answer a conversation, whole or streamed; `model` is a deployment, a version or the base."""
    return _behind(request, CHAT)


@post(COMPLETIONS.path, status_code=200)
async def create_completion(request: Request[Any, Any, Any]) -> ASGIApp:
    """Continue a text, whole or streamed; `model` is a deployment, a version or the base."""
    return _behind(request, COMPLETIONS)


def _behind(request: Request[Any, Any, Any], endpoint: Endpoint) -> ASGIApp:
    return Inference(request.app.state.services, endpoint)


handlers = [create_chat_completion, create_completion]
"""The route handlers of this room."""
