"""One inference request, from the route to the report of its outcome.

It refuses to know vLLM's wire and how routes are decided. Whatever happens, one `finally` reports
it; a request is answered by the version it was routed to, or fails clearly.
"""

import random
import time
from dataclasses import dataclass

from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from registry.errors import Interrupted, Unavailable, Unreachable
from registry.records import Interaction
from service.disconnect import while_connected
from service.fleet.attempts import Attempts, failure_of
from service.fleet.replica import Replica
from service.inquiry import Inquiry
from service.metrics import UNROUTED
from service.problems import problem_of
from service.routing import Route
from service.services import Services
from service.streaming import StreamReader, Usage, read
from service.vllm import Upstream

CLIENT_LEFT = 499
"""Status we report when the client closed the connection first; nobody sees it."""
STREAM_BROKE = 502
"""Status we report when a stream that began well did not end well."""
_OK, _NOT_FOUND, _ERRORS = 200, 404, 400
_RELOAD_SECONDS = 2


@dataclass(frozen=True)
class Endpoint:
    """One of the engine's two doors for inference."""

    name: str
    """How interactions and metrics call it."""
    path: str
    """Where it is, here and in the engine."""
    id_prefix: str
    """What the engine puts before our request id to name its answer."""


CHAT = Endpoint("chat.completions", "/v1/chat/completions", "chatcmpl-")
COMPLETIONS = Endpoint("completions", "/v1/completions", "cmpl-")


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
        endpoint: Endpoint,
        inquiry: Inquiry,
        project: str,
        request_id: str,
    ) -> None:
        self._services = services
        self._endpoint = endpoint
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
            self._services.reconciler.hold(route.model)
            try:
                async with while_connected(receive):
                    await self._answer(route, send)
            finally:
                self._services.reconciler.release(route.model)
        except Exception as exc:
            self._outcome.status = problem_of(exc, self._request_id).status
            raise
        finally:
            self._report(route)

    async def _answer(self, route: Route, send: Send) -> None:
        fleet, body = self._services.fleet, self._inquiry.body_for(route.model)
        attempts = Attempts()
        while True:
            replica = await self._pick(route, attempts)
            replica.outstanding += 1
            try:
                if await self._try(replica, body, route, send):
                    fleet.note_success(replica)
                    return
            except (Unreachable, Interrupted) as exc:  # before the first byte: see `_relay_stream`
                failure = failure_of(exc)
                fleet.note_failure(replica, failure)
                if not attempts.may_follow(replica, failure) or not fleet.has_other(attempts.tried):
                    raise
                self._services.metrics.retries.labels(failure).inc()
            else:
                self._reload(replica, route, attempts)
            finally:
                replica.outstanding -= 1

    async def _try(self, replica: Replica, body: bytes, route: Route, send: Send) -> bool:
        """Answer by one replica; return false if it does not know the version."""
        async with replica.engine.generate(self._endpoint.path, body, self._request_id) as upstream:
            if upstream.status == _NOT_FOUND and route.version is not None:
                return False
            await self._relay(upstream, route, send)
            return True

    def _reload(self, replica: Replica, route: Route, attempts: Attempts) -> None:
        """Have a version loaded again that a replica lost since we looked, or give up."""
        self._services.reconciler.forget(replica, route.model)
        if not attempts.may_reload():
            message = f"'{route.model}' is not loaded; try again."
            raise Unavailable("engine", message, _RELOAD_SECONDS)
        self._services.metrics.retries.labels("absent").inc()

    async def _pick(self, route: Route, attempts: Attempts) -> Replica:
        """Return the replica to ask; a version that none serves is loaded first.

        Raises:
            Unavailable: No replica is up, or none could load the version in time.
        """
        services, is_base = self._services, route.version is None
        replica = services.fleet.pick(route.model, is_base=is_base, tried=attempts.tried)
        if replica is None and route.version is not None:
            await services.reconciler.ensure(route.version, attempts.tried)
            replica = services.fleet.pick(route.model, is_base=is_base, tried=attempts.tried)
        if replica is None:
            message = "The engine (vLLM) cannot be reached; it may be starting. Try again."
            raise Unavailable("engine", message)
        return replica

    async def _relay(self, upstream: Upstream, route: Route, send: Send) -> None:
        if upstream.is_stream:
            await self._relay_stream(upstream, route, send)
            return
        body = await upstream.read()
        reading = read(body)
        self._outcome.status = upstream.status
        self._outcome.usage = reading.usage
        self._outcome.finish_reason = reading.finish_reason
        self._report(route)
        await send(self._head(upstream, route, len(body)))
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _relay_stream(self, upstream: Upstream, route: Route, send: Send) -> None:
        reader = StreamReader(keep_usage=self._inquiry.wants_usage)
        await send(self._head(upstream, route, None))
        try:
            tail = await self._relay_events(upstream, reader, send)
        except Unavailable as exc:  # the head is sent: only an event can still tell the client
            self._outcome.status = STREAM_BROKE
            tail = b"data: " + problem_of(exc, self._request_id).encode() + b"\n\n"
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
        if route is not None:
            self._services.interaction_log.record(self._interaction(route, duration))

    def _measure(self, route: Route | None, duration_seconds: float) -> None:
        metrics, outcome, name = self._services.metrics, self._outcome, self._endpoint.name
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
            id=self._endpoint.id_prefix + self._request_id,
            project=route.project,
            deployment=route.deployment,
            arm=route.arm,
            model=route.model,
            unit_hash=route.unit_hash,
            endpoint=self._endpoint.name,
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
