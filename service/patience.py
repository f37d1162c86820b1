"""How long a client may keep a connection waiting, and how large the head of a request may be.

It refuses to know what is asked. uvicorn waits for ever: for the end of a head, for the next byte
of a body, and for a client that does not read; and it takes heads of any size.
"""

import asyncio
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.cycle import Cycle
from service.problems import Detail, ErrorBody, new_request_id

MAX_HEAD_BYTES = 64 * 1024
"""Largest head of a request: method, path and header fields."""
MAX_HEAD_FIELDS = 200
"""Most header fields of a request."""
MAX_PIPELINED = 32
"""Most requests that a client may send before the first of them is answered."""
MIN_BYTES_A_SECOND = 4096
"""Slowest body that is waited for, once it took longer than the client's time."""
_LOOKS = 4  # in the client's time, and in that of the keep-alive: how exactly they are kept
_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
}


class _Refusal(NamedTuple):
    status: int
    code: str
    message: str


_MALFORMED = _Refusal(400, "invalid_request", "The request is not HTTP/1.1.")
_LATE = _Refusal(408, "request_timeout", "The request did not come in time; send it again.")
_TOO_LARGE = _Refusal(
    431,
    "request_headers_too_large",
    f"A request's head may have {MAX_HEAD_BYTES} bytes and {MAX_HEAD_FIELDS} header fields.",
)


class ImpatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, with deadlines for the client and bounds for what it sends.

    Args:
        client_seconds: Time for the head of a request; for a body before it must keep up a rate;
            and for a client that takes nothing of its answer.
    """

    def __init__(self, *args: Any, client_seconds: float, **named: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **named)
        self._client_seconds = client_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._refusal = _MALFORMED
        self._owes_since: float | None = None  # since when the rest of a request is to come
        self._stalls_since: float | None = None  # since when the client takes nothing
        self._was_closing = False
        self._idle_since: float | None = None  # since when a next request may come
        self._is_refused = False
        self._running: RequestResponseCycle | None = None
        self._is_in_head = False
        self._piece_bytes = 0
        self._request_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection, whose first request is to come."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._owes_since = self.loop.time()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True  # uvicorn tells the last of pipelined requests alone
            self._running.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request."""
        if self._is_refused:
            return
        self._idle_since = None
        self._piece_bytes = len(data)
        self._request_bytes += self._piece_bytes
        if self._owes_since is None and (self.cycle is None or self.cycle.response_complete):
            self._owes_since = self.loop.time()
        super().data_received(data)
        if self._is_in_head and not self._is_refused and self._is_head_too_large():
            self._refuse(_TOO_LARGE)  # its end is not even in sight

    def pause_writing(self) -> None:
        """Take note that the client reads more slowly than it is answered."""
        super().pause_writing()
        self._stalls_since = self.loop.time()

    def resume_writing(self) -> None:
        """Take note that it reads again."""
        super().resume_writing()
        self._stalls_since = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._is_in_head = True
        self._owes_since = self.loop.time()
        self._request_bytes = 0  # what came in this piece may belong to the request before

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head is too large."""
        if len(self.headers) > MAX_HEAD_FIELDS or self._is_head_too_large():
            self._refusal = _TOO_LARGE
            raise ValueError(_TOO_LARGE.code)  # stops the parser; `send_400_response` follows
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many pipelined requests")
        self._is_in_head = False
        self._begin_answer()

    def on_message_complete(self) -> None:
        """Take note that the request is whole."""
        self._owes_since = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one: without a timer of its own for each."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says the same to everybody
        """Refuse what uvicorn's parser stopped at."""
        self._refuse(self._refusal)

    def _begin_answer(self) -> None:
        """Do what uvicorn does here, with a cycle of ours; websockets and its limits are off."""
        version = self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = version
        self.scope["path"] = unquote(path) if "%" in path else path
        self.scope["raw_path"] = url.path
        self.scope["query_string"] = url.query or b""
        before = self.cycle
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ANN401 - uvicorn's own
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _is_head_too_large(self) -> bool:
        """Return whether the head is too large so far; it is measured only where it can be."""
        if self._piece_bytes + self._request_bytes <= MAX_HEAD_BYTES:
            return False
        known = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        return max(known, self._request_bytes) > MAX_HEAD_BYTES

    def _refuse(self, refusal: _Refusal) -> None:
        """Take no more from this client: say why and close, after what is being answered."""
        self._is_refused = True
        self._owes_since = None
        self.pipeline.clear()
        cycle = self._running
        if cycle is not None and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body:
                cycle.keep_alive = False
                return
        elif cycle is not None and not self._is_in_head:  # the rest of what was answered already
            self.transport.close()
            return
        self.transport.write(_answer(refusal))
        self.transport.close()

    def _watch(self) -> None:
        shortest = min(self._client_seconds, self.timeout_keep_alive)
        self._timer = self.loop.call_later(shortest / _LOOKS, self._look)

    def _look(self) -> None:
        """End what took too long."""
        now = self.loop.time()
        is_closing = self.transport.is_closing()
        if (is_closing and self._was_closing) or self._is_over(self._stalls_since, now):
            self.transport.abort()
        elif self._owes_since is not None and self._is_late(self._owes_since, now):
            self._refuse(_LATE)
        elif self._idle_since is not None and now - self._idle_since > self.timeout_keep_alive:
            self.transport.close()
        self._was_closing = is_closing
        self._watch()

    def _is_over(self, since: float | None, now: float) -> bool:
        return since is not None and now - since > self._client_seconds

    def _is_late(self, since: float, now: float) -> bool:
        if self._is_in_head or self.cycle is None or self.cycle.response_complete:
            return self._is_over(since, now)
        if self.flow.read_paused:  # we do not read: the client is not to blame
            self._owes_since, self._request_bytes = now, 0
            return False
        return now - since > self._client_seconds + self._request_bytes / MIN_BYTES_A_SECOND


def _answer(refusal: _Refusal) -> bytes:
    detail = Detail(
        message=refusal.message, type="invalid_request_error", param=None, code=refusal.code
    )
    body = msgspec.json.encode(ErrorBody(error=detail))
    head = (
        f"HTTP/1.1 {refusal.status} {_PHRASES[refusal.status]}\r\n"
        "content-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-request-id: {new_request_id()}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body
