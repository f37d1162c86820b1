"""One line in the log for each request of the administrative side.

It refuses to know bodies and keys: only a key's id is written. Inference is not logged here.
"""

import logging
import time
from collections.abc import MutableMapping
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from registry.records import ApiKey
from service.problems import new_request_id

_LONGEST_PATH = 300

logger = logging.getLogger(__name__)


class RequestLog(ASGIMiddleware):
    """Names each request, says the name in `x-request-id`, and logs it when it is answered."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Pass a request on."""
        state: MutableMapping[str, Any] = scope["state"]
        request_id = state["request_id"] = new_request_id()
        began, status = time.perf_counter(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
                message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await next_app(scope, receive, send_named)
        finally:
            caller = state.get("caller")
            line = {
                "method": scope.get("method"),
                "path": scope["path"][:_LONGEST_PATH],
                "status": status,
                "seconds": round(time.perf_counter() - began, 4),
                "key": caller.id if isinstance(caller, ApiKey) else None,
                "request_id": request_id,
            }
            logger.info("%s", msgspec.json.encode(line).decode())
