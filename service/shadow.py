"""Copies of requests, answered by a deployment's shadow and seen by nobody.

It refuses to know how a request is routed, and never holds one up: a copy is offered after the
answer, starts when there is room, is asked once, and is dropped when there is none.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from registry.errors import GraftlineError, Unavailable
from registry.lifecycle import AdapterStatus
from registry.records import Arm, Interaction
from service.answer_notes import AnswerNotes
from service.dice import DICE
from service.features import request_features
from service.fleet.fleet import Fleet
from service.inquiry import Inquiry
from service.interaction_log import InteractionLog
from service.metrics import ServiceMetrics
from service.problems import new_request_id, problem_of
from service.reconcile import Reconciler
from service.routing import Route, RoutingTable
from service.streaming import Reading

DEADLINE_SECONDS = 120.0
"""Longest time one copy may take."""
MAX_QUEUED = 100
"""Copies that may wait for one in flight to end."""
MAX_HELD_BYTES = 32 * 1024 * 1024
"""Bodies that copies may hold, waiting and in flight together."""

_FAILED = 400
_TOO_LATE = 504

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Copy:
    model: str
    route: Route
    inquiry: Inquiry
    shadow_of: str


@dataclass(frozen=True)
class _Answer:
    status: int
    reading: Reading
    mean_logprob: float | None = None


class Shadows:
    """The copies that wait, and those in flight."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        reconciler: Reconciler,
        routing: RoutingTable,
        interaction_log: InteractionLog,
        metrics: ServiceMetrics,
        concurrency: int,
        deadline_seconds: float = DEADLINE_SECONDS,
        draw: Callable[[], float] = DICE.random,
    ) -> None:
        self._fleet = fleet
        self._reconciler = reconciler
        self._routing = routing
        self._log = interaction_log
        self._metrics = metrics
        self._concurrency = concurrency
        self._deadline_seconds = deadline_seconds
        self._draw = draw
        self._waiting: asyncio.Queue[_Copy] = asyncio.Queue(MAX_QUEUED)
        self._held_bytes = 0

    def offer(self, route: Route, inquiry: Inquiry, interaction_id: str) -> None:
        """Take a copy of an answered request, if it is drawn and there is room; never waits.

        Args:
            route: The request's route.
            inquiry: The request.
            interaction_id: The user's interaction.
        """
        if route.shadow is None or self._draw() >= route.shadow_share:
            return
        if self._waiting.full() or self._held_bytes + inquiry.size_bytes > MAX_HELD_BYTES:
            self._count(route, "dropped")
            return
        self._held_bytes += inquiry.size_bytes
        copy = _Copy(model=route.shadow, route=route, inquiry=inquiry, shadow_of=interaction_id)
        self._waiting.put_nowait(copy)

    async def run(self) -> None:
        """Answer copies until cancelled; those in flight are aborted then."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._concurrency):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            copy = await self._waiting.get()
            try:
                await self._answer(copy)
            except Exception:  # the edge of the loop: the next copy is not this one's fault
                logger.exception("the copy of %s failed", copy.shadow_of)
                self._count(copy.route, "failed")
            finally:
                self._held_bytes -= copy.inquiry.size_bytes

    async def _answer(self, copy: _Copy) -> None:
        if not self._is_serving(copy.model):
            self._count(copy.route, "unready")
            return
        request_id, began, started = new_request_id(), time.time(), time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_seconds):
                answer = await self._ask(copy, request_id)
        except TimeoutError:
            answer = _Answer(_TOO_LATE, Reading())
        except GraftlineError as exc:
            answer = _Answer(problem_of(exc, request_id).status, Reading())
        self._count(copy.route, "answered" if answer.status < _FAILED else "failed")
        usage = answer.reading.usage
        self._log.record(
            Interaction(
                id=copy.inquiry.dialect.id_prefix + request_id,
                project=copy.route.project,
                deployment=copy.route.deployment,
                arm=Arm.SHADOW,
                model=copy.model,
                unit_hash=copy.route.unit_hash,
                endpoint=copy.inquiry.dialect.name,
                status=answer.status,
                finish_reason=answer.reading.finish_reason,
                prompt_tokens=None if usage is None else usage.prompt_tokens,
                completion_tokens=None if usage is None else usage.completion_tokens,
                first_token_seconds=None,
                duration_seconds=time.perf_counter() - started,
                created_at=began,
                shadow_of=copy.shadow_of,
                mean_logprob=answer.mean_logprob,
                features=request_features(copy.inquiry.fields, body_bytes=copy.inquiry.size_bytes),
            )
        )

    async def _ask(self, copy: _Copy, request_id: str) -> _Answer:
        """Ask a replica, once. This is the only call of one in this room."""
        is_base = copy.model == self._routing.snapshot.base
        replica = self._fleet.pick(copy.model, is_base=is_base)
        if replica is None:
            raise Unavailable("engine", f"No replica serves '{copy.model}' now.")
        dialect, body = copy.inquiry.dialect, copy.inquiry.copy_for(copy.model, request_id)
        notes = AnswerNotes(None, wants_logprobs=True)
        self._reconciler.hold(copy.model)
        replica.outstanding += 1
        try:
            async with replica.engine.generate(dialect.path, body, request_id) as upstream:
                whole, status = await upstream.body(), upstream.status
        finally:
            replica.outstanding -= 1
            self._reconciler.release(copy.model)
        notes.feed(whole)
        return _Answer(status, dialect.read(whole), notes.mean_logprob)

    def _is_serving(self, model: str) -> bool:
        """Return whether a model can answer now; a copy makes nobody load anything."""
        snapshot = self._routing.snapshot
        if model == snapshot.base:
            return self._reconciler.engine_up
        version = snapshot.versions.get(model)
        is_ready = version is not None and version.status is AdapterStatus.READY
        return is_ready and bool(self._reconciler.holders_of(model))

    def _count(self, route: Route, outcome: str) -> None:
        self._metrics.shadow_copies.labels(route.deployment or "", outcome).inc()
