"""An engine's answer on its way to the client: whole, or event by event.

It refuses to know which engine answers, and what is written down of it.
"""

from collections.abc import Callable

from litestar.types import HTTPResponseStartEvent, Send

from registry.errors import Unavailable
from service.outcome import STREAM_BROKE, Asked, Outcome
from service.problems import in_shape, problem_of, stream_event
from service.routing import Route
from service.streaming import StreamReader
from service.vllm import Upstream

_ERRORS = 400
_JSON = b"application/json"


class Relay:
    """Sends one answer on.

    Args:
        asked: The request.
        outcome: Where what is seen is noted.
        report: Writes the outcome down, in memory. It is called in the same breath in which the
            end of the answer is sent: the client does not wait for it, and feedback on the answer,
            which may follow at once, still finds the interaction.
        send: ASGI's.
    """

    __slots__ = ("_asked", "_outcome", "_report", "_send")

    def __init__(
        self, asked: Asked, outcome: Outcome, report: Callable[[Route], None], send: Send
    ) -> None:
        self._asked = asked
        self._outcome = outcome
        self._report = report
        self._send = send

    async def whole(self, upstream: Upstream, route: Route) -> None:
        """Send a plain answer; nothing is sent before the engine's answer is complete.

        Raises:
            Unavailable: The engine died, or was too slow.
        """
        dialect, outcome = self._asked.inquiry.dialect, self._outcome
        body = await upstream.read()
        outcome.take(upstream.status, dialect.read(body))
        if outcome.notes is not None:
            outcome.notes.feed(body)
        if upstream.status >= _ERRORS:
            body = in_shape(body, upstream.status, dialect.shape, self._asked.request_id)
        await self._send(self._head(upstream, route, len(body)))
        await self._send({"type": "http.response.body", "body": body, "more_body": False})
        self._report(route)

    async def stream(self, upstream: Upstream, route: Route) -> None:
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
        head = self._head(upstream, route, None)
        status = upstream.status
        try:
            tail = await self._events(upstream, reader, head)
        except Unavailable as exc:
            if self._outcome.first_byte_seconds is None:
                raise
            # The head is sent: only an event can still tell the client.
            status = STREAM_BROKE
            tail = stream_event(problem_of(exc, self._asked.request_id), dialect.shape)
        outcome.take(STREAM_BROKE if reader.has_failed else status, reader)
        await self._send({"type": "http.response.body", "body": tail, "more_body": False})
        self._report(route)

    async def _events(
        self, upstream: Upstream, reader: StreamReader, head: HTTPResponseStartEvent
    ) -> bytes:
        """Relay until the closing event, and return that unsent."""
        tail = b""
        async for chunk in upstream.chunks():
            data = reader.feed(chunk)
            if reader.is_done:
                tail += data
            elif data:
                await self._begin(head)
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        if not reader.is_done:
            raise Unavailable("engine", "The engine ended the answer before it was complete.")
        await self._begin(head)
        return tail

    async def _begin(self, head: HTTPResponseStartEvent) -> None:
        """Send the head, once."""
        if self._outcome.first_byte_seconds is None:
            self._outcome.note_first_byte()
            await self._send(head)

    def _head(self, upstream: Upstream, route: Route, length: int | None) -> HTTPResponseStartEvent:
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
        return {"type": "http.response.start", "status": upstream.status, "headers": headers}


def _header(name: str) -> bytes:
    return name.encode("latin-1", "replace")
