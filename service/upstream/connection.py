"""One connection to an engine, which carries one request at a time.

It refuses to know URLs, retries and pools. `httptools` parses; this room only moves bytes. aiohttp
needs more than three times the processor time for the same exchange (docs/decisions/008).
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast

import httptools

from registry.errors import Interrupted, Unavailable

READ_AHEAD_BYTES = 256 * 1024
"""Most bytes of an answer held for a client that reads slowly; the engine is then not read from."""
MAX_HEAD_FIELDS = 200
"""Most header fields of an answer."""
_FIRST_FINAL_STATUS = 200


class Connection(asyncio.Protocol):
    """The state of one connection and of the answer that it carries now."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # outlives a request: most end long before
        self._expires_at = math.inf
        self._is_paused = False
        self._is_spoiled = False
        self._is_kept = False
        self._take: Callable[[bytes], bool] | None = None
        self.is_open = False
        """Whether the peer can still be written to."""
        self._begin()
        self.is_complete = True

    def _begin(self) -> None:
        self.status = 0
        """The answer's status; 0 before its head came."""
        self.headers: list[tuple[bytes, bytes]] = []
        """The answer's header fields, names in lower case."""
        self.is_complete = False
        """Whether the answer came to its end."""
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_full = False
        self._failure: Exception | None = None

    @property
    def content_type(self) -> bytes:
        """The answer's media type; JSON if its head names none."""
        for name, value in self.headers:
            if name == b"content-type":
                return value
        return b"application/json"

    @property
    def is_stream(self) -> bool:
        """Whether the answer comes as server-sent events."""
        return self.content_type.startswith(b"text/event-stream")

    # What the caller does.

    def send(self, request: bytes, deadline_seconds: float) -> None:
        """Write a request; its answer is waited for with `head`."""
        self._begin()
        self._expires_at = self._loop.time() + deadline_seconds
        if self._timer is None or self._timer.when() > self._expires_at:
            self._watch()
        self._transport.write(request)

    async def head(self) -> None:
        """Return once status and headers are there.

        Raises:
            Interrupted: The connection broke before.
            Unavailable: The deadline came first.
        """
        while not self.status:
            self._raise_failure()
            await self._change()

    async def pour(
        self, take: Callable[[bytes], bool], drain: Callable[[], Awaitable[None]]
    ) -> None:
        """Hand on the body as it comes, in the breath in which it was read; return at its end.

        No task is woken for a piece: for a short one that would cost more than all else.

        Args:
            take: Takes a piece; returns whether it can take another one.
            drain: Returns once it can again; the engine is not read from meanwhile.

        Raises:
            Interrupted: The connection broke before the end.
            Unavailable: The deadline came first.
        """
        self._take = take
        try:
            self._hand_on()
            while self._is_full or not self.is_complete:
                if self._is_full:
                    await drain()
                    self._is_full = False
                    self._resume()
                    self._hand_on()
                else:
                    self._raise_failure()
                    await self._change()
            self._raise_failure()
        finally:
            self._take = None
            self._is_full = False

    async def body(self) -> bytes:
        """Return the whole body; raises as `pour` does."""
        parts = []
        while not self.is_complete:
            if self._chunks:
                parts.append(self._taken())
            self._raise_failure()
            await self._change()
        return b"".join((*parts, *self._chunks))

    def finish(self) -> bool:
        """End the exchange, and return whether the connection can carry another."""
        self._expires_at = math.inf
        is_clean = self.is_complete and not self._is_spoiled
        if self.is_open and is_clean and self._is_kept:
            return True
        self.abort()
        return False

    def abort(self) -> None:
        """Cut the connection; an engine that still works on an answer stops."""
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def _hand_on(self) -> None:
        """Hand on what has come; a taker that is full stops the reading until it is drained."""
        if self._take is None or self._is_full or not self._chunks:
            return
        self._is_full = not self._take(self._taken())
        if self._is_full and self.is_open:
            self._pause()
            self._wake()

    def _pause(self) -> None:
        if not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _taken(self) -> bytes:
        data = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._held_bytes = 0
        self._resume()
        return data

    def _resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    def _change(self) -> asyncio.Future[None]:
        """Return what is done when something has come, or has gone wrong."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def _raise_failure(self) -> None:
        if self._failure is not None and not self._chunks:
            raise self._failure

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, failure: Unavailable) -> None:
        if not self.is_complete and self._failure is None:
            self._failure = failure
            self._wake()

    def _watch(self) -> None:
        self._forget_timer()
        self._timer = self._loop.call_at(self._expires_at, self._look)

    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Give up a request whose time is over; a later one may have taken its place."""
        self._timer = None
        if self._loop.time() >= self._expires_at:
            self._expire()
        elif self._expires_at < math.inf:
            self._watch()

    def _expire(self) -> None:
        self._fail(Unavailable("engine", "The engine did not answer in time; try again."))
        self.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of an open connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Parse what came; nobody wants what comes after a cut."""
        if not self.is_open:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            message = "The engine's answer is not HTTP. Check GRAFTLINE_ENGINE_URL."
            self._fail(Interrupted("engine", message))
            self.abort()
        try:
            self._hand_on()
        except Exception as exc:  # noqa: BLE001 - the taker's own, which belongs to its task
            self._take = None  # what follows would leave without what it failed at
            self._failure = exc
            self._chunks.clear()
            self.abort()
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of a closed connection; an answer without a stated length ends with it."""
        self.is_open = False
        self._forget_timer()
        if self.status and not self._has_length() and exc is None:
            self.is_complete = True
            self._wake()
        message = "The engine (vLLM) stopped while answering. Try again."
        self._fail(Interrupted("engine", message))

    # What the parser calls.

    def on_message_begin(self) -> None:
        """Take the beginning of an answer; one that nobody asked for spoils the connection."""
        if self.is_complete:
            self._is_spoiled = True
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header field."""
        if len(self.headers) < MAX_HEAD_FIELDS and not self._is_spoiled:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the status; an interim answer is passed over."""
        status = self._parser.get_status_code()
        if self._is_spoiled:
            return
        if status < _FIRST_FINAL_STATUS:
            self.headers.clear()
            return
        self.status = status
        self._wake()

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        if self._is_spoiled:
            return
        self._chunks.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > READ_AHEAD_BYTES and self.is_open:
            self._pause()
        if self._take is None:
            self._wake()

    def on_message_complete(self) -> None:
        """Take the end of an answer."""
        if self.status and not self._is_spoiled:
            self.is_complete = True
            self._is_kept = self._parser.should_keep_alive()  # true only in this very moment
            self._wake()

    def _has_length(self) -> bool:
        return any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)
