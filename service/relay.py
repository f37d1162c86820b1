"""An engine's answer on its way to the client: whole, or event by event.

It refuses to know which engine answers, and what is written down of it.
"""

from collections.abc import Callable

from registry.errors import Unavailable
from service.outcome import STREAM_BROKE, Asked, Outcome
from service.outlet import Outlet
from service.problems import in_shape, problem_of, stream_event
from service.routing import Route
from service.streaming import StreamReader
from service.upstream.connection import Connection

_OK, _ERRORS = 200, 400
_JSON = b"application/json"


class Relay:
    """Sends one answer on.

    Args:
        asked: The request.
        outcome: Where what is seen is noted.
        report: Writes the outcome down, in memory. It is called in the same breath in which the
            end of the answer is sent: the client does not wait for it, and feedback on the answer,
            which may follow at once, still finds the interaction.
        outlet: The way to the client.
    """

    __slots__ = ("_asked", "_outcome", "_outlet", "_report")

    def __init__(
        self, asked: Asked, outcome: Outcome, report: Callable[[Route], None], outlet: Outlet
    ) -> None:
        self._asked = asked
        self._outcome = outcome
        self._report = report
        self._outlet = outlet

    async def whole(self, upstream: Connection, route: Route) -> None:
        """Send a plain answer; nothing is sent before the engine's answer is complete.

        Raises:
            Unavailable: The engine died, or was too slow.
        """
        dialect, outcome = self._asked.inquiry.dialect, self._outcome
        body = await upstream.body()
        outcome.take(upstream.status, dialect.read(body))
        if outcome.notes is not None:
            outcome.notes.feed(body)
        if upstream.status >= _ERRORS:
            body = in_shape(body, upstream.status, dialect.shape, self._asked.request_id)
        self._outlet.begin(upstream.status, self._head(upstream, route, len(body)))
        await self._end(body, route)

    async def stream(self, upstream: Connection, route: Route) -> None:
        """Send events as they come; a stream that breaks ends with an event that says so.

        The head goes out with the first event: until then another replica can be asked, and a write
        of its own would cost more than all else that is done for a request.

        Raises:
            Unavailable: The engine died, or was too slow, before the first event.
        """
        dialect, outcome = self._asked.inquiry.dialect, self._outcome
        reader = dialect.stream_reader(
            keep_usage=self._asked.inquiry.wants_usage,
            listener=None if outcome.notes is None else outcome.notes.feed,
        )
        events = _Events(reader, outcome, self._outlet)
        events.head = (upstream.status, self._head(upstream, route, None))
        status = upstream.status
        try:
            await upstream.pour(events.take, self._outlet.drain)
            tail = events.last()
        except Unavailable as exc:
            if outcome.first_byte_seconds is None:
                raise
            # The head is sent: only an event can still tell the client.
            status = STREAM_BROKE
            tail = stream_event(problem_of(exc, self._asked.request_id), dialect.shape)
        outcome.take(STREAM_BROKE if reader.has_failed else status, reader)
        await self._end(tail, route)

    async def _end(self, data: bytes, route: Route) -> None:
        self._outlet.end(data)
        self._report(route)
        await self._outlet.drain()

    def _head(
        self, upstream: Connection, route: Route, length: int | None
    ) -> list[tuple[bytes, bytes]]:
        headers = [
            (b"content-type", upstream.content_type if upstream.status < _ERRORS else _JSON),
            (b"x-request-id", self._asked.request_id.encode()),
            (b"x-graftline-model", _header(route.model)),
            (b"x-graftline-arm", route.arm.encode()),
        ]
        if route.deployment is not None:
            headers.append((b"x-graftline-deployment", _header(route.deployment)))
        if self._outcome.admission is not None:
            headers.extend(
                (name.encode(), value.encode())
                for name, value in self._outcome.admission.headers().items()
            )
        if length is None:
            headers.append((b"cache-control", b"no-cache"))
        else:
            headers.append((b"content-length", str(length).encode()))
        return headers


class _Events:
    """The events of one stream, from the engine's connection to the client's."""

    __slots__ = ("_outcome", "_outlet", "_reader", "_tail", "head")

    def __init__(self, reader: StreamReader, outcome: Outcome, outlet: Outlet) -> None:
        self.head: tuple[int, list[tuple[bytes, bytes]]] = (_OK, [])
        """Status and header fields, which leave with the first event."""
        self._reader = reader
        self._outcome = outcome
        self._outlet = outlet
        self._tail = b""

    def take(self, data: bytes) -> bool:
        """Pass on what is whole; return whether the client can take more.

        What comes with the closing event waits for `last`: the client shall not see the end of an
        answer before it is written down.
        """
        events = self._reader.feed(data)
        if self._reader.is_done:
            self._tail += events
        elif events:
            self._begin()
            return self._outlet.write(events)
        return True

    def last(self) -> bytes:
        """Return the closing event, unsent, when everything before it is on its way.

        Raises:
            Unavailable: It did not come.
        """
        if not self._reader.is_done:
            raise Unavailable("engine", "The engine ended the answer before it was complete.")
        self._begin()
        return self._tail

    def _begin(self) -> None:
        if self._outcome.first_byte_seconds is None:
            self._outcome.note_first_byte()
            self._outlet.begin(*self.head)


def _header(name: str) -> bytes:
    return name.encode("latin-1", "replace")
