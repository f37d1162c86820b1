"""One request on a client's connection, and its answer: as few writes as can be, each at once.

It refuses to know what is asked. uvicorn writes a head and its body apart and looks at every header
field four times; on the loopback device a write costs more than all that Graftline does for it.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from litestar.types import Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from service.outlet import AsgiOutlet, Fields, Outlet

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

_CONTROLS = bytes([*range(9), *range(10, 32), 127])
_BODILESS = frozenset({204, 304})
_LAST_CHUNK = b"0\r\n\r\n"


class Cycle(RequestResponseCycle):
    """uvicorn's cycle of one request, as an `Outlet` and for ASGI alike."""

    _head = b""

    # An outlet: no step of it waits, but for `drain`.

    def begin(self, status: int, fields: Fields) -> None:
        """Take the head; see `Outlet`."""
        named = [*self.default_headers, *fields]
        known = dict(named)
        if known.get(b"connection", b"").lower() == b"close":
            self.keep_alive = False
            named = [field for field in named if field[0] != b"connection"]
        lines = b"\r\n".join((*map(b": ".join, named), b""))
        if len(lines.translate(None, _CONTROLS)) != len(lines) - 2 * len(named):
            raise RuntimeError("A header field has control characters.")
        self.response_started = True
        self.waiting_for_100_continue = False
        length = known.get(b"content-length")
        if length is not None:
            self.expected_content_length = int(length)
        is_bodiless = status in _BODILESS or self.scope["method"] == "HEAD"
        self.chunked_encoding = length is None and not is_bodiless
        close = b"" if self.keep_alive else b"connection: close\r\n"
        chunked = b"transfer-encoding: chunked\r\n" if self.chunked_encoding else b""
        self._head = b"".join((STATUS_LINE[status], lines, close, chunked, b"\r\n"))

    def write(self, data: bytes) -> bool:
        """Send a piece, and the head before it; see `Outlet`."""
        if self.chunked_encoding:
            self._put((self._head, b"%x\r\n" % len(data), data, b"\r\n") if data else ())
        else:
            self._put((self._head, self._counted(data)))
        return not self.flow.write_paused

    def end(self, data: bytes) -> None:
        """Send the last piece, and the head if nothing was sent before; see `Outlet`."""
        if self.disconnected:
            return
        if not self.chunked_encoding:
            self._put((self._head, self._counted(data)))
            if self.expected_content_length:
                raise RuntimeError("The answer is shorter than its content-length.")
        elif data:
            self._put((self._head, b"%x\r\n" % len(data), data, b"\r\n", _LAST_CHUNK))
        else:
            self._put((self._head, _LAST_CHUNK))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def drain(self) -> None:
        """Return once the client takes what was sent."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()

    # ASGI.

    async def send(self, message: "ASGISendEvent") -> None:
        """Take one of ASGI's messages.

        Raises:
            RuntimeError: It is none that may come now.
        """
        await self.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start" and not self.response_started:
            self.begin(message["status"], _in_small_letters(message.get("headers", ())))
            asyncio.get_running_loop().call_soon(self._put, ())  # a body that takes its time
        elif message["type"] != "http.response.body" or not self.response_started:
            raise RuntimeError(f"'{message['type']}' cannot be sent now.")
        elif self.response_complete:
            raise RuntimeError("The answer was complete already.")
        elif message.get("more_body", False):
            self.write(message.get("body", b""))
        else:
            self.end(message.get("body", b""))

    def _put(self, parts: tuple[bytes, ...]) -> None:
        """Write parts, the head among them, or the head alone if it still waits."""
        whole = b"".join(parts) if parts else self._head
        self._head = b""
        if whole and not self.disconnected and not self.transport.is_closing():
            self.transport.write(whole)

    def _counted(self, data: bytes) -> bytes:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
            return b""
        self.expected_content_length -= len(data)
        if self.expected_content_length < 0:
            raise RuntimeError("The answer is longer than its content-length.")
        return data


def outlet_of(send: Send) -> Outlet:
    """Return the way out behind ASGI's `send`: the cycle itself where the server is ours."""
    cycle: Any = getattr(send, "__self__", None)
    return cycle if isinstance(cycle, Cycle) else AsgiOutlet(send)


def _in_small_letters(fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    return [(bytes(name).lower(), bytes(value)) for name, value in fields]
