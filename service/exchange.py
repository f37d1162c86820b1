"""One inference request, from the route to the report of its outcome.

It refuses to know vLLM's wire and how routes are decided. Whatever happens, one `finally` reports
it; a request is answered by the version it was routed to, or fails clearly.
"""

import time

from litestar.types import Receive

from registry.errors import Declined, Interrupted, Unavailable, Unreachable
from service.answer_notes import AnswerNotes
from service.dice import DICE
from service.fleet.attempts import Attempts, failure_of
from service.fleet.replica import Replica
from service.outcome import Asked, Outcome, report
from service.outlet import Outlet
from service.problems import problem_of
from service.relay import Relay
from service.routing import Route
from service.services import Services

_NOT_FOUND, _DECLINED = 404, 503
_RELOAD_SECONDS = 2


class Exchange:
    """Answers one request."""

    __slots__ = ("_asked", "_outcome", "_services")

    def __init__(self, services: Services, asked: Asked) -> None:
        self._services = services
        self._asked = asked
        self._outcome = Outcome(started=time.perf_counter())

    async def __call__(self, receive: Receive, outlet: Outlet) -> None:
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
                draw=DICE.random(),
                now=time.time(),
            )
            if asked.key.is_limited:
                self._outcome.admission = await services.limiter.admit(asked.key)
            self._outcome.notes = self._notes(route)
            # Held while it waits too: what is held is neither unloaded nor deleted.
            services.reconciler.hold(route.model)
            try:
                with services.departures.watch(receive):
                    await self._in_turn(route, outlet)
            finally:
                services.reconciler.release(route.model)
        except Exception as exc:
            self._outcome.status = problem_of(exc, asked.request_id).status
            raise
        finally:
            self._report(route)

    async def _in_turn(self, route: Route, outlet: Outlet) -> None:
        turnstile = self._services.turnstile
        if not turnstile.try_enter():
            await turnstile.enter()
        try:
            await self._answer(route, outlet)
        finally:
            turnstile.leave()

    async def _answer(self, route: Route, outlet: Outlet) -> None:
        fleet, attempts = self._services.fleet, Attempts()
        body = self._asked.inquiry.body_for(route.model, self._asked.request_id)
        while True:
            replica = self._pick(route, attempts) or await self._loaded(route, attempts)
            replica.outstanding += 1
            try:
                if await self._try(replica, body, route, outlet):
                    fleet.note_answer(replica, self._outcome.status)
                    return
            except (Unreachable, Declined, Interrupted) as exc:
                # Nothing was sent to the client: see `Relay.stream`.
                failure = failure_of(exc)
                fleet.note_failure(replica, failure)
                if not attempts.may_follow(replica, failure) or not fleet.has_other(attempts.tried):
                    raise
                self._services.metrics.retries.labels(failure).inc()
            else:
                self._reload(replica, route, attempts)
            finally:
                replica.outstanding -= 1

    async def _try(self, replica: Replica, body: bytes, route: Route, outlet: Outlet) -> bool:
        """Answer by one replica; return false if it does not know the version."""
        asked = self._asked
        path, request_id = asked.inquiry.dialect.path, asked.request_id
        async with replica.engine.generate(path, body, request_id) as upstream:
            if upstream.status == _NOT_FOUND and route.version is not None:
                return False
            if upstream.status == _DECLINED:
                raise Declined("engine", "The engine (vLLM) takes no requests now; try again.")
            relay = Relay(asked, self._outcome, self._report, outlet)
            await (relay.stream if upstream.is_stream else relay.whole)(upstream, route)
            return True

    def _pick(self, route: Route, attempts: Attempts) -> Replica | None:
        return self._services.fleet.pick(
            route.model,
            is_base=route.version is None,
            key_of=self._asked.inquiry.prefix_key,
            tried=attempts.tried,
        )

    async def _loaded(self, route: Route, attempts: Attempts) -> Replica:
        """Return the replica to ask after a version that none serves was loaded.

        Raises:
            Unavailable: No replica is up, or none could load the version in time.
        """
        replica = None
        if route.version is not None:
            await self._services.reconciler.ensure(route.version, attempts.tried)
            replica = self._pick(route, attempts)
        if replica is None:
            message = "The engine (vLLM) cannot be reached; it may be starting. Try again."
            raise Unavailable("engine", message)
        return replica

    def _reload(self, replica: Replica, route: Route, attempts: Attempts) -> None:
        """Have a version loaded again that a replica lost since we looked, or give up."""
        self._services.reconciler.forget(replica, route.model)
        if not attempts.may_reload():
            message = f"'{route.model}' is not loaded; try again."
            raise Unavailable("engine", message, _RELOAD_SECONDS)
        self._services.metrics.retries.labels("absent").inc()

    def _notes(self, route: Route) -> AnswerNotes | None:
        asked = self._asked
        wants_text = self._services.texts.wanted(route.project, asked.interaction_id)
        wants_logprobs = "logprobs" in asked.inquiry.fields
        if not (wants_text or wants_logprobs):
            return None
        words_of = asked.inquiry.dialect.words_of if wants_text else None
        return AnswerNotes(words_of, wants_logprobs=wants_logprobs)

    def _report(self, route: Route | None) -> None:
        report(self._services, self._asked, route, self._outcome)
