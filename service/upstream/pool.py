"""The connections to one engine: opened when needed, kept for the next request.

It refuses to know what the requests say, and sends none twice but for one case: a kept connection
that the engine closed just as it was used again, before any byte of an answer.
"""

import asyncio
import ssl
from types import TracebackType
from urllib.parse import urlsplit

from registry.errors import Interrupted, Unavailable, Unreachable
from service.upstream.connection import Connection
from service.upstream.lateness import again_if_late

CONNECT_SECONDS = 2.0
"""Longest time to open a connection."""
KEEPALIVE_SECONDS = 3.0
"""Shorter than vLLM's own 5 seconds, so that we never write on a connection it is closing."""

_FORGOTTEN_AT_ONCE = 8


class ConnectionPool:
    """Connections to the engine at one URL."""

    def __init__(
        self,
        base_url: str,
        *,
        authorization: str | None = None,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        parts = urlsplit(base_url)
        self._connect_seconds = connect_seconds
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._prefix = parts.path.rstrip("/")
        key = f"authorization: {authorization}\r\n" if authorization else ""
        self._fields = (
            f" HTTP/1.1\r\nhost: {parts.netloc.rpartition('@')[2]}\r\n{key}"
            "content-type: application/json\r\naccept-encoding: identity\r\n"
        ).encode("latin-1")
        self._idle: dict[Connection, float] = {}
        self._busy: set[Connection] = set()
        self._is_closed = False

    def post(
        self, path: str, body: bytes, *, request_id: str, deadline_seconds: float
    ) -> "PendingPost":
        """Return a request, which is sent when its block is entered.

        Leaving the block early makes the engine abort it. What the block is given is the connection
        with the head of the answer; it is another's as soon as the block is left.
        """
        head = f"POST {self._prefix}{path}".encode("latin-1") + self._fields
        fields = f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n\r\n"
        return PendingPost(self, head + fields.encode("latin-1") + body, deadline_seconds)

    async def send(self, request: bytes, deadline_seconds: float) -> Connection:
        """Send a request and return the connection on which the head of its answer came.

        Raises:
            Unreachable: No connection could be opened.
            Interrupted: It broke.
            Unavailable: The deadline came first, or the pool is closed.
        """
        connection = self._kept()
        if connection is None:
            return await self._exchange(await self._open(), request, deadline_seconds)
        try:
            return await self._exchange(connection, request, deadline_seconds)
        except Interrupted as exc:
            try:
                fresh = await self._open()
            except Unreachable:
                # The engine had the request when it died: for all we know, of it.
                raise exc from None
        return await self._exchange(fresh, request, deadline_seconds)

    def release(self, connection: Connection) -> None:
        """Take a connection back; one whose answer is not complete is cut."""
        self._busy.discard(connection)
        if connection.finish() and not self._is_closed:
            now = asyncio.get_running_loop().time()
            self._idle[connection] = now
            self._forget_idle_since(now - KEEPALIVE_SECONDS)

    async def close(self) -> None:
        """Cut every connection."""
        self._is_closed = True
        for connection in (*self._idle, *self._busy):
            connection.abort()
        self._idle.clear()

    async def _exchange(
        self, connection: Connection, request: bytes, deadline_seconds: float
    ) -> Connection:
        self._busy.add(connection)
        try:
            connection.send(request, deadline_seconds)
            await connection.head()
        except BaseException:
            self.release(connection)
            raise
        return connection

    def _kept(self) -> Connection | None:
        """Return the connection that was used last, if one is fresh enough."""
        if not self._idle:
            return None
        oldest = asyncio.get_running_loop().time() - KEEPALIVE_SECONDS
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.is_open and since > oldest:
                return connection
            connection.abort()
        return None

    def _forget_idle_since(self, oldest: float) -> None:
        """Cut some of what a busier time left: the longest idle come first, none is used again."""
        for _ in range(_FORGOTTEN_AT_ONCE):
            connection, since = next(iter(self._idle.items()))
            if since > oldest:
                return
            del self._idle[connection]
            connection.abort()

    async def _open(self) -> Connection:
        if self._is_closed:
            raise Unavailable("engine", "The service is stopping; try again.")
        try:
            return await again_if_late(self._opened, self._connect_seconds)
        except (OSError, TimeoutError) as exc:
            message = "The engine (vLLM) cannot be reached; it may be starting. Try again."
            raise Unreachable("engine", message) from exc

    async def _opened(self) -> Connection:
        """Return a new connection.

        Raises:
            OSError: Nothing listens there.
            TimeoutError: It did not answer in time.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_seconds):
            _, connection = await loop.create_connection(
                lambda: Connection(loop), self._host, self._port, ssl=self._tls
            )
        return connection


class PendingPost:
    """One request for the length of a block; leaving early makes the engine abort it."""

    __slots__ = ("_connection", "_deadline_seconds", "_pool", "_request")

    def __init__(self, pool: ConnectionPool, request: bytes, deadline_seconds: float) -> None:
        self._pool = pool
        self._request = request
        self._deadline_seconds = deadline_seconds
        self._connection: Connection

    async def __aenter__(self) -> Connection:
        self._connection = await self._pool.send(self._request, self._deadline_seconds)
        return self._connection

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.release(self._connection)
