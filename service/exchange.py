"""One inference request, from the route to the report of its outcome.

It refuses to know vLLM's wire and how routes are decided. Whatever happens, one `finally` reports
it; a request is answered by the version it was routed to, or fails clearly.
"""

import random
import time

from litestar.types import Receive, Send

from registry.errors import Unavailable
from service.answer_notes import AnswerNotes
from service.outcome import Asked, Outcome, report
from service.problems import problem_of
from service.relay import Relay
from service.routing import Route
from service.services import Services

_NOT_FOUND = 404
_ATTEMPTS = 2
_RELOAD_SECONDS = 2


class Exchange:
    """Answers one request."""

    __slots__ = ("_asked", "_outcome", "_services")

    def __init__(self, services: Services, asked: Asked) -> None:
        self._services = services
        self._asked = asked
        self._outcome = Outcome(started=time.perf_counter())

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Answer the request, whose body was read.

        Raises:
            GraftlineError: It failed before the first byte of the answer.
        """
        services, asked = self._services, self._asked
        route: Route | None = None
        try:
            route = services.routing.resolve(
                asked.inquiry.model,
                caller_project=asked.key.project,
                unit_of=asked.inquiry.unit_of,
                draw=random.random(),  # noqa: S311 - a split, not a secret
                now=time.time(),
            )
            if asked.key.is_limited:
                self._outcome.admission = await services.limiter.admit(asked.key)
            self._outcome.notes = self._notes(route)
            # Held before the first await: what is held is neither unloaded nor deleted.
            with services.reconciler.hold(route.model):
                async with services.departures.watch(receive):
                    await self._in_turn(route, send)
        except Exception as exc:
            self._outcome.status = problem_of(exc, asked.request_id).status
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
        services, asked = self._services, self._asked
        body = asked.inquiry.body_for(route.model, asked.request_id)
        for _ in range(_ATTEMPTS):
            if route.version is not None:
                await services.reconciler.ensure(route.version)
            async with services.engine.generate(
                asked.inquiry.dialect.path, body, asked.request_id
            ) as upstream:
                if upstream.status != _NOT_FOUND or route.version is None:
                    relay = Relay(asked, self._outcome, self._report, send)
                    await (relay.stream if upstream.is_stream else relay.whole)(upstream, route)
                    return
            # The engine was restarted since we looked: load the version again, then ask once more.
            services.reconciler.forget(route.model)
        message = f"'{route.model}' is not loaded; try again."
        raise Unavailable("engine", message, _RELOAD_SECONDS)

    def _notes(self, route: Route) -> AnswerNotes | None:
        asked = self._asked
        wants_text = self._services.texts.wanted(route.project, asked.interaction_id)
        wants_logprobs = "logprobs" in asked.inquiry.fields
        if not (wants_text or wants_logprobs):
            return None
        return AnswerNotes(wants_text=wants_text, wants_logprobs=wants_logprobs)

    def _report(self, route: Route | None) -> None:
        report(self._services, self._asked, route, self._outcome)
