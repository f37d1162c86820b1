"""One inference request, from the route to the report of its outcome.

It refuses to know vLLM's wire and how routes are decided. Whatever happens, one `finally` reports
it; a request is answered by the version it was routed to, or fails clearly.
"""

import random
import time
from dataclasses import dataclass

from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from registry.errors import Unavailable
from registry.records import Interaction
from service.dialects.dialect import Dialect
from service.disconnect import while_connected
from service.inquiry import Inquiry
from service.metrics import UNROUTED
from service.problems import in_shape, problem_of, stream_event
from service.routing import Route
from service.services import Services
from service.streaming import StreamReader, Usage
from service.vllm import Upstream

CLIENT_LEFT = 499
"""Status we report when the client closed the connection first; nobody sees it."""
STREAM_BROKE = 502
"""Status we report when a stream that began well did not end well."""
_OK, _NOT_FOUND, _ERRORS = 200, 404, 400
_ATTEMPTS = 2
_RELOAD_SECONDS = 2


@dataclass
class _Outcome:
    status: int = CLIENT_LEFT
    usage: Usage | None = None
    finish_reason: str | None = None
    first_byte_seconds: float | None = None


class Exchange:
    """The ASGI application that answers one request."""

    def __init__(
        self,
        services: Services,
        *,
        inquiry: Inquiry,
        project: str,
        request_id: str,
    ) -> None:
        self._services = services
        self._dialect: Dialect = inquiry.dialect
        self._inquiry = inquiry
        self._project = project
        self._request_id = request_id
        self._started = time.perf_counter()
        self._outcome = _Outcome()
        self._is_reported = False

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request.

        Raises:
            GraftlineError: It failed before the first byte of the answer.
        """
        route: Route | None = None
        try:
            route = self._services.routing.resolve(
                self._inquiry.model,
                caller_project=self._project,
                unit=self._inquiry.unit,
                draw=random.random(),  # noqa: S311 - a split, not a secret
            )
            # Held before the first await: what is held is neither unloaded nor deleted.
            with self._services.reconciler.hold(route.model):
                async with while_connected(receive):
                    await self._answer(route, send)
        except Exception as exc:
            self._outcome.status = problem_of(exc, self._request_id).status
            raise
        finally:
            self._report(route)

    async def _answer(self, route: Route, send: Send) -> None:
        services, body = self._services, self._inquiry.body_for(route.model, self._request_id)
        for _ in range(_ATTEMPTS):
            if route.version is not None:
                await services.reconciler.ensure(route.version)
            async with services.engine.generate(
                self._dialect.path, body, self._request_id
            ) as upstream:
                if upstream.status != _NOT_FOUND or route.version is None:
                    await self._relay(upstream, route, send)
                    return
            # The engine was restarted since we looked: load the version again, then ask once more.
            services.reconciler.forget(route.model)
        message = f"'{route.model}' is not loaded; try again."
        raise Unavailable("engine", message, _RELOAD_SECONDS)

    async def _relay(self, upstream: Upstream, route: Route, send: Send) -> None:
        if upstream.is_stream:
            await self._relay_stream(upstream, route, send)
            return
        body = await upstream.read()
        reading = self._dialect.read(body)
        if upstream.status >= _ERRORS:
            body = in_shape(body, upstream.status, self._dialect.shape, self._request_id)
        self._outcome.status = upstream.status
        self._outcome.usage = reading.usage
        self._outcome.finish_reason = reading.finish_reason
        self._report(route)
        await send(self._head(upstream, route, len(body)))
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _relay_stream(self, upstream: Upstream, route: Route, send: Send) -> None:
        reader = self._dialect.stream_reader(keep_usage=self._inquiry.wants_usage)
        await send(self._head(upstream, route, None))
        try:
            tail = await self._relay_events(upstream, reader, send)
        except Unavailable as exc:  # the head is sent: only an event can still tell the client
            self._outcome.status = STREAM_BROKE
            tail = stream_event(problem_of(exc, self._request_id), self._dialect.shape)
        else:
            self._outcome.status = STREAM_BROKE if reader.has_failed else upstream.status
        self._outcome.usage = reader.usage
        self._outcome.finish_reason = reader.finish_reason
        self._report(route)
        await send({"type": "http.response.body", "body": tail, "more_body": False})

    async def _relay_events(self, upstream: Upstream, reader: StreamReader, send: Send) -> bytes:
        """Relay until the closing event; return it unsent, for feedback may follow it at once."""
        tail = b""
        async for chunk in upstream.chunks():
            data = reader.feed(chunk)
            self._note_first_byte(data)
            if reader.is_done:
                tail += data
            elif data:
                await send({"type": "http.response.body", "body": data, "more_body": True})
        if not reader.is_done:
            raise Unavailable("engine", "The engine ended the answer before it was complete.")
        return tail

    def _note_first_byte(self, data: bytes) -> None:
        if data and self._outcome.first_byte_seconds is None:
            self._outcome.first_byte_seconds = time.perf_counter() - self._started

    def _head(self, upstream: Upstream, route: Route, length: int | None) -> HTTPResponseStartEvent:
        headers = [
            (b"content-type", upstream.content_type.encode("latin-1")),
            (b"x-request-id", self._request_id.encode()),
            (b"x-graftline-model", _header(route.model)),
            (b"x-graftline-arm", route.arm.encode()),
        ]
        if route.deployment is not None:
            headers.append((b"x-graftline-deployment", _header(route.deployment)))
        if length is None:
            headers.append((b"cache-control", b"no-cache"))
        else:
            headers.append((b"content-length", str(length).encode()))
        return {"type": "http.response.start", "status": upstream.status, "headers": headers}

    def _report(self, route: Route | None) -> None:
        if self._is_reported:
            return
        self._is_reported = True
        duration = time.perf_counter() - self._started
        self._measure(route, duration)
        if route is not None and self._dialect.is_interaction:
            self._services.interaction_log.record(self._interaction(route, duration))

    def _measure(self, route: Route | None, duration_seconds: float) -> None:
        metrics, outcome, name = self._services.metrics, self._outcome, self._dialect.name
        model = UNROUTED if route is None else route.model
        deployment, arm = ("", "") if route is None else (route.deployment or "", route.arm.value)
        metrics.requests.labels(name, deployment, arm, model, str(outcome.status)).inc()
        if outcome.status < _ERRORS:
            metrics.request_duration.labels(name, model).observe(duration_seconds)
        if outcome.first_byte_seconds is not None:
            metrics.time_to_first_token.labels(name, model).observe(outcome.first_byte_seconds)
        if outcome.usage is not None:
            metrics.tokens.labels(model, "prompt").inc(outcome.usage.prompt_tokens)
            metrics.tokens.labels(model, "completion").inc(outcome.usage.completion_tokens or 0)

    def _interaction(self, route: Route, duration_seconds: float) -> Interaction:
        outcome = self._outcome
        return Interaction(
            id=self._dialect.id_prefix + self._request_id,
            project=route.project,
            deployment=route.deployment,
            arm=route.arm,
            model=route.model,
            unit_hash=route.unit_hash,
            endpoint=self._dialect.name,
            status=outcome.status,
            finish_reason=outcome.finish_reason,
            prompt_tokens=None if outcome.usage is None else outcome.usage.prompt_tokens,
            completion_tokens=None if outcome.usage is None else outcome.usage.completion_tokens,
            first_token_seconds=outcome.first_byte_seconds,
            duration_seconds=duration_seconds,
            created_at=time.time() - duration_seconds,
        )


def _header(name: str) -> bytes:
    return name.encode("latin-1", "replace")
