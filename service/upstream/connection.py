"""One connection to an engine, which carries one request at a time.

It refuses to know URLs, retries and pools. `httptools` parses; this room only moves bytes. aiohttp
needs more than three times the processor time for the same exchange (docs/decisions/008).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
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
        self._timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_spoiled = False
        self._is_kept = False
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
        self._failure: Unavailable | None = None

    # What the caller does.

    def send(self, request: bytes, deadline_seconds: float) -> None:
        """Write a request; its answer is waited for with `head`."""
        self._begin()
        self._timer = self._loop.call_later(deadline_seconds, self._expire)
        self._transport.write(request)

    async def head(self) -> None:
        """Return once status and headers are there.

        Raises:
            Interrupted: The connection broke before.
            Unavailable: The deadline came first.
        """
        while not self.status:
            await self._changed()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            Interrupted: The connection broke before the end.
            Unavailable: The deadline came first.
        """
        while True:
            if self._chunks:
                yield self._taken()
            elif self.is_complete:
                return
            else:
                await self._changed()

    async def body(self) -> bytes:
        """Return the whole body; raises as `chunks` does."""
        parts = []
        while not self.is_complete:
            if self._chunks:
                parts.append(self._taken())
            await self._changed()
        return b"".join((*parts, *self._chunks))

    def finish(self) -> bool:
        """End the exchange, and return whether the connection can carry another."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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

    def _taken(self) -> bytes:
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._held_bytes = 0
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    async def _changed(self) -> None:
        self._raise_failure()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        self._raise_failure()

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

    def _expire(self) -> None:
        self._fail(Unavailable("engine", "The engine did not answer in time; try again."))
        self.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take note of an open connection."""
        self._transport = cast("asyncio.Transport", transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            message = "The engine's answer is not HTTP. Check GRAFTLINE_ENGINE_URL."
            self._fail(Interrupted("engine", message))
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note of a closed connection; an answer without a stated length ends with it."""
        self.is_open = False
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
        if self._held_bytes > READ_AHEAD_BYTES and not self._is_paused and self.is_open:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        """Take the end of an answer."""
        if self.status and not self._is_spoiled:
            self.is_complete = True
            self._is_kept = self._parser.should_keep_alive()  # true only in this very moment
            self._wake()

    def _has_length(self) -> bool:
        return any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)
