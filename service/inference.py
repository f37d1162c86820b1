"""One inference request at the door: who asks, how much is read, and how a refusal looks.

It refuses to know how an answer is found; `exchange.py` does.
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from litestar.types import Receive, Scope, Send

from registry import records
from registry.errors import BodyTooLarge
from service.auth import authenticate, require
from service.cycle import outlet_of
from service.dialects.dialect import Dialect
from service.dialects.shapes import Shape
from service.exchange import Exchange
from service.headers import Headers
from service.inquiry import decode_inquiry
from service.outcome import Asked
from service.outlet import Outlet
from service.problems import Problem, new_request_id, problem_of
from service.services import Services

_UNEXPECTED = 500

logger = logging.getLogger(__name__)


class ClientLeft(Exception):
    """The client went away before its request was read."""


class Inference:
    """The ASGI application of one dialect's endpoint."""

    __slots__ = ("_dialect", "_services")

    def __init__(self, services: Services, dialect: Dialect) -> None:
        self._services = services
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or say clearly why not."""
        request_id = new_request_id()
        outlet = outlet_of(send)
        try:
            await self._answer(request_id, Headers(scope), receive, outlet)
        except ClientLeft:
            return
        except Exception as exc:  # the edge of a request: whatever it met, the client is told
            problem = problem_of(exc, request_id)
            if problem.status == _UNEXPECTED:
                logger.exception("request %s failed", request_id)
            if not outlet.response_started:
                await send_problem(problem, self._dialect.shape, outlet)

    async def _answer(
        self, request_id: str, headers: Headers, receive: Receive, outlet: Outlet
    ) -> None:
        key = authenticate(self._services.keyring, headers, time.time())
        require(key, records.Scope.INFERENCE)
        limit = self._services.settings.max_request_bytes
        body = await read_body(receive, headers.get("content-length"), limit)
        inquiry = decode_inquiry(body, headers.get, self._dialect)
        asked = Asked(inquiry=inquiry, key=key, request_id=request_id)
        await Exchange(self._services, asked)(receive, outlet)


async def read_body(receive: Receive, length: str | None, limit: int) -> bytes:
    """Return a request's body.

    Args:
        receive: ASGI's.
        length: The header `content-length`, if there is one.
        limit: Most bytes.

    Raises:
        BodyTooLarge: It is larger than `limit`; no more than that was kept.
        ClientLeft: The client went away first.
    """
    if length is not None and length.isdecimal() and int(length[:20]) > limit:
        raise BodyTooLarge(limit)
    whole = bytearray()  # not a list: there may be a great many small pieces
    while True:
        message: Mapping[str, Any] = await receive()
        if message["type"] != "http.request":
            raise ClientLeft
        piece: bytes = message["body"]
        if len(whole) + len(piece) > limit:
            raise BodyTooLarge(limit)
        is_last = not message["more_body"]
        if is_last and not whole:
            return piece
        whole += piece
        if is_last:
            return bytes(whole)


async def send_problem(problem: Problem, shape: Shape, outlet: Outlet) -> None:
    """Send an error as a whole answer."""
    body = problem.encode(shape)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *((name.encode(), value.encode("latin-1")) for name, value in problem.headers.items()),
    ]
    outlet.begin(problem.status, headers)
    outlet.end(body)
    await outlet.drain()
