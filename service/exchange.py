"""One inference request, from the route to the report of its outcome.

It refuses to know vLLM's wire and how routes are decided. Whatever happens, one `finally` reports
it; a request is answered by the version it was routed to, or fails clearly.
"""

import random
import time
from dataclasses import dataclass

from litestar.types import HTTPResponseStartEvent, Receive, Send

from registry.errors import Unavailable
from registry.records import ApiKey, Interaction
from service.features import request_features
from service.inquiry import Inquiry
from service.kept_text import MAX_TEXT_BYTES, KeptText
from service.limits import Admission
from service.metrics import UNROUTED
from service.problems import problem_of
from service.routing import Route
from service.services import Services
from service.streaming import StreamReader, Usage, read
from service.texts import AnswerText
from service.vllm import Upstream

CLIENT_LEFT = 499
"""Status we report when the client closed the connection first; nobody sees it."""
STREAM_BROKE = 502
"""Status we report when a stream that began well did not end well."""
_OK, _ERRORS, _NOT_FOUND = 200, 400, 404
_ATTEMPTS = 2
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
    mean_logprob: float | None = None
    text: AnswerText | None = None


class Exchange:
    """The ASGI application that answers one request."""

    def __init__(
        self,
        services: Services,
        *,
        endpoint: Endpoint,
        inquiry: Inquiry,
        key: ApiKey,
        request_id: str,
    ) -> None:
        self._services = services
        self._endpoint = endpoint
        self._inquiry = inquiry
        self._key = key
        self._admission: Admission | None = None
        self._request_id = request_id
        self._id = endpoint.id_prefix + request_id
        self._started = time.perf_counter()
        self._outcome = _Outcome()
        self._is_reported = False

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Answer the request, whose body was read.

        Raises:
            GraftlineError: It failed before the first byte of the answer.
        """
        route: Route | None = None
        try:
            route = self._services.routing.resolve(
                self._inquiry.model,
                caller_project=self._key.project,
                unit_of=self._inquiry.unit_of,
                draw=random.random(),  # noqa: S311 - a split, not a secret
                now=time.time(),
            )
            if self._key.is_limited:
                self._admission = await self._services.limiter.admit(self._key)
            if self._services.texts.wanted(route.project, self._id):
                self._outcome.text = AnswerText(limit=MAX_TEXT_BYTES)
            # Held before the first await: what is held is neither unloaded nor deleted.
            with self._services.reconciler.hold(route.model):
                async with self._services.departures.watch(receive):
                    await self._in_turn(route, send)
        except Exception as exc:
            self._outcome.status = problem_of(exc, self._request_id).status
            raise
        finally:
            self._report(route)

    async def _in_turn(self, route: Route, send: Send) -> None:
        turnstile = self._services.turnstile
        if not turnstile.try_enter():
            await turnstile.enter()
        try:
            await self._answer(route, send)
        finally:
            turnstile.leave()

    async def _answer(self, route: Route, send: Send) -> None:
        services, body = self._services, self._inquiry.body_for(route.model)
        for _ in range(_ATTEMPTS):
            if route.version is not None:
                await services.reconciler.ensure(route.version)
            async with services.engine.generate(
                self._endpoint.path, body, self._request_id
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
        reading = read(body)
        self._outcome.status = upstream.status
        self._outcome.usage = reading.usage
        self._outcome.finish_reason = reading.finish_reason
        self._outcome.mean_logprob = reading.mean_logprob
        if self._outcome.text is not None:
            self._outcome.text.feed(body)
        self._report(route)
        await send(self._head(upstream, route, len(body)))
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _relay_stream(self, upstream: Upstream, route: Route, send: Send) -> None:
        reader = StreamReader(keep_usage=self._inquiry.wants_usage, text=self._outcome.text)
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
        self._outcome.mean_logprob = reader.mean_logprob
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
            (b"content-type", upstream.content_type),
            (b"x-request-id", self._request_id.encode()),
            (b"x-graftline-model", _header(route.model)),
            (b"x-graftline-arm", route.arm.encode()),
        ]
        if route.deployment is not None:
            headers.append((b"x-graftline-deployment", _header(route.deployment)))
        if self._admission is not None:
            limits = self._admission.headers()
            headers += [(name.encode(), value.encode()) for name, value in limits.items()]
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
            interaction = self._interaction(route, duration)
            self._count(interaction)
            self._services.interaction_log.record(interaction, self._kept_text())
            if self._outcome.status == _OK:
                self._services.shadows.offer(
                    route,
                    self._inquiry,
                    endpoint=self._endpoint.name,
                    path=self._endpoint.path,
                    id_prefix=self._endpoint.id_prefix,
                    request_id=self._request_id,
                )

    def _count(self, interaction: Interaction) -> None:
        """Add the request to the key's usage, and its tokens to the key's minute."""
        prompt, answer = interaction.prompt_tokens or 0, interaction.completion_tokens or 0
        self._services.usage.add(
            self._key, interaction.model, interaction.created_at, prompt, answer
        )
        if self._admission is not None:
            self._admission.settle(prompt + answer)

    def _kept_text(self) -> KeptText | None:
        text = self._outcome.text
        if text is None or self._outcome.status >= _ERRORS:
            return None
        return KeptText(request=self._inquiry.body_for(self._inquiry.model), answer=text.value)

    def _measure(self, route: Route | None, duration_seconds: float) -> None:
        outcome, name = self._outcome, self._endpoint.name
        place = (
            (name, "", "", UNROUTED)
            if route is None
            else (name, route.deployment or "", route.arm.value, route.model)
        )
        self._services.tally.count(
            place,
            status=outcome.status,
            duration_seconds=duration_seconds,
            first_byte_seconds=outcome.first_byte_seconds,
            usage=outcome.usage,
        )

    def _interaction(self, route: Route, duration_seconds: float) -> Interaction:
        outcome = self._outcome
        return Interaction(
            id=self._id,
            project=route.project,
            key_id=self._key.id,
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
            mean_logprob=outcome.mean_logprob,
            features=request_features(self._inquiry.fields, body_bytes=self._inquiry.size_bytes),
        )


def _header(name: str) -> bytes:
    return name.encode("latin-1", "replace")
