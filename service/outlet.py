"""Where an answer leaves for its client: a head, pieces, an end, each written without waiting.

It refuses to know servers and answers. On our own server (`cycle.py`) a piece is on its way when
`write` returns, so whoever hears of an event can pass it on in the same breath; behind any other
ASGI server pieces wait in memory for `drain`.
"""

from collections.abc import Iterable
from typing import Protocol

from litestar.types import HTTPResponseBodyEvent, HTTPResponseStartEvent, Send

Fields = Iterable[tuple[bytes, bytes]]
"""Header fields, names in small letters."""


class Outlet(Protocol):
    """One answer's way out."""

    response_started: bool
    """Whether the head was given."""

    def begin(self, status: int, fields: Fields) -> None:
        """Take the head, once; it leaves together with what is written next.

        Raises:
            RuntimeError: A field has control characters.
        """

    def write(self, data: bytes) -> bool:
        """Take a piece; return whether more may follow without `drain`."""

    def end(self, data: bytes) -> None:
        """Take the last piece."""

    async def drain(self) -> None:
        """Return once the client can take more; call it after the end too."""


class AsgiOutlet:
    """An outlet that speaks ASGI."""

    __slots__ = ("_messages", "_send", "response_started")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[HTTPResponseStartEvent | HTTPResponseBodyEvent] = []
        self.response_started = False
        """Whether the head was given."""

    def begin(self, status: int, fields: Fields) -> None:
        """Take the head."""
        self.response_started = True
        start: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": status,
            "headers": list(fields),
        }
        self._messages.append(start)

    def write(self, data: bytes) -> bool:
        """Hold a piece for `drain`."""
        self._messages.append({"type": "http.response.body", "body": data, "more_body": True})
        return False

    def end(self, data: bytes) -> None:
        """Hold the last piece for `drain`."""
        self._messages.append({"type": "http.response.body", "body": data, "more_body": False})

    async def drain(self) -> None:
        """Send what is held."""
        messages, self._messages = self._messages, []
        for message in messages:
            await self._send(message)
