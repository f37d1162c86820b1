"""The server's connections, which send what was written in one go.

It refuses to know HTTP: uvicorn does. An answer's head and body are two writes; on a connection of
the loopback device a write costs more than all that Graftline does for a request.
"""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class CorkedTransport(asyncio.Transport):
    """A transport that holds what is written until the running task gives way."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hold a piece; the first one asks for the flush of all that follow it."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(bytes(data))

    def flush(self) -> None:
        """Write what is held."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Write what is held, then close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Close at once; what is held is dropped."""
        self._parts = []
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether it is closed or about to be."""
        return self._transport.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol."""
        self.flush()
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol."""
        return self._transport.get_protocol()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - asyncio's own
        """Return what the connection tells about itself."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._transport.resume_reading()


class CorkedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP over a corked transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a new connection."""
        self._corked = CorkedTransport(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(self._corked)

    def on_response_complete(self) -> None:
        """Send the end of an answer at once: what is done after it need not be waited for."""
        self._corked.flush()
        super().on_response_complete()
