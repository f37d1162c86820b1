"""The loop that makes the engine hold what the records want, and knows what it holds.

It refuses to decide what is wanted (`wanted.py` does) and to know vLLM's wire. "Loaded" is always
observed: after a restart of the engine everything is observed missing and loaded again.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from registry.errors import (
    ArtifactError,
    Conflict,
    EngineError,
    GraftlineError,
    NotFound,
    Unavailable,
)
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from registry.settings import Settings
from registry.store import Store
from service.grafting import Grafting
from service.metrics import ServiceMetrics
from service.routing import RoutingTable
from service.vllm import Engine
from service.wanted import Action, Situation, actions, idle_retired

WAIT_SECONDS = 10.0
"""Longest time a request waits for its version to be loaded and examined."""
MAX_BACKOFF_SECONDS = 60.0
"""Longest time between two attempts on a version that fails again and again."""

_MENDABLE = (EngineError, ArtifactError, Conflict, NotFound, OSError)
"""What may befall one version without touching the others; it is tried again later."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Setback:
    """A step on a version failed, and is tried again later."""

    reason: str
    attempts: int
    not_before: float  # on the monotonic clock, in seconds


class Reconciler:
    """Loads, examines, unloads and deletes adapter versions, one step at a time."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        engine: Engine,
        routing: RoutingTable,
        metrics: ServiceMetrics,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._settings = settings
        self._root = settings.adapters_dir
        self._engine = engine
        self._routing = routing
        self._metrics = metrics
        self._grafting = Grafting(settings=settings, store=store, engine=engine, metrics=metrics)
        self._wait_seconds = wait_seconds
        self._observed: dict[str, str] = {}
        self._waiting: Counter[str] = Counter()
        self._asked: dict[str, None] = {}
        self._in_flight: Counter[str] = Counter()
        self._drained: frozenset[str] = frozenset()
        self._setbacks: dict[str, _Setback] = {}
        self._woken = asyncio.Event()
        self._changed = asyncio.Condition()  # protects nothing; wakes the requests that wait
        self.engine_up = False
        """Whether the engine answered when it was last looked at."""

    @property
    def loaded(self) -> frozenset[str]:
        """Names of the adapters that the engine held when it was last looked at."""
        return frozenset(self._observed)

    def wake(self) -> None:
        """Compare wanted and loaded at once."""
        self._woken.set()

    @contextmanager
    def hold(self, model: str) -> Iterator[None]:
        """Count a request on a model; what is counted is neither unloaded nor deleted."""
        gauge = self._metrics.in_flight.labels(model)
        with _counted(self._in_flight, model), gauge.track_inprogress():
            yield

    def forget(self, name: str) -> None:
        """Take note that the engine did not know an adapter we believed loaded."""
        self._observed.pop(name, None)

    async def ensure(self, version: AdapterVersion) -> None:
        """Return once a version is loaded and examined, waiting for a bounded time.

        However many requests wait for a version, it is loaded once: only the loop loads.

        Raises:
            NotFound: It was retired meanwhile.
            Conflict: It was rejected, or belongs to another base model.
            Unavailable: It is not ready in time, or the engine is down.
        """
        if self._is_serving(version.name):
            return
        self._refuse_hopeless(version.name)
        self._asked[version.name] = None
        self.wake()
        try:
            with _counted(self._waiting, version.name):
                async with asyncio.timeout(self._wait_seconds), self._changed:
                    await self._changed.wait_for(lambda: self._is_settled(version.name))
        except TimeoutError as exc:
            message = f"'{version.name}' is being loaded and examined; try again."
            raise Unavailable("engine", message) from exc
        self._refuse_hopeless(version.name)

    async def run(self) -> None:
        """Reconcile every `reconcile_seconds`, and at once when woken, until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self.once()
            except Exception:  # the edge of the loop: whatever a pass met, the next one goes on
                logger.exception("a reconcile pass failed")
                self._metrics.reconcile_errors.inc()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.reconcile_seconds):
                    await self._woken.wait()

    async def once(self) -> None:
        """Look at the engine and do all that is to be done now.

        Raises:
            GraftlineError: The records could not be changed.
        """
        await self._refresh()
        try:
            await self._observe()
            while (action := self._next()) is not None:
                await self._perform(action)
        except Unavailable as exc:
            if exc.part != "engine":
                raise
            if self.engine_up:
                logger.warning("the engine does not answer: %s", exc)
            await self._mark_down()
            return
        self._drained = idle_retired(self._situation())
        self._asked = {name: None for name in self._asked if name in self._versions}
        self._metrics.reconcile_last_success.set_to_current_time()
        await self._announce()

    async def _refresh(self) -> None:
        try:
            await self._routing.refresh()
        except Unavailable as exc:  # serve on with the picture we have
            logger.warning("records not read: %s", exc)
            self._metrics.reconcile_errors.inc()

    async def _observe(self) -> None:
        if not await self._engine.is_healthy():
            raise Unavailable("engine", "The engine is not healthy.")
        self._observed = await self._engine.loaded()
        self.engine_up = True
        await self._announce()

    def _next(self) -> Action | None:
        now = time.monotonic()
        for action in actions(self._situation()):
            setback = self._setbacks.get(action.version.name)
            if setback is None or setback.not_before <= now:
                return action
        return None

    async def _perform(self, action: Action) -> None:
        name = action.version.name
        try:
            await self._grafting.perform(action, self._observed)
        except _MENDABLE as exc:
            self._set_back(name, str(exc))
        else:
            self._setbacks.pop(name, None)
        await self._refresh()
        await self._announce()

    def _set_back(self, name: str, reason: str) -> None:
        attempts = self._setbacks[name].attempts + 1 if name in self._setbacks else 1
        pause = min(2.0**attempts * self._settings.reconcile_seconds, MAX_BACKOFF_SECONDS)
        self._setbacks[name] = _Setback(reason, attempts, time.monotonic() + pause)
        self._metrics.reconcile_errors.inc()
        logger.warning("%s: %s", name, reason)

    async def _mark_down(self) -> None:
        self._observed = {}
        self._drained = frozenset()
        self.engine_up = False
        await self._announce()

    async def _announce(self) -> None:
        self._metrics.engine_up.set(self.engine_up)
        counts = Counter(version.status for version in self._versions.values())
        for status in AdapterStatus:
            self._metrics.adapters.labels(status).set(counts[status])
        self._metrics.adapters.labels("loaded").set(len(self._observed))
        async with self._changed:
            self._changed.notify_all()

    @property
    def _versions(self) -> dict[str, AdapterVersion]:
        return dict(self._routing.snapshot.versions)

    def _situation(self) -> Situation:
        return Situation(
            snapshot=self._routing.snapshot,
            observed=self._observed,
            root=self._root,
            waiting=self._waiting,
            asked=self._asked,
            busy=self._in_flight,
            drained=self._drained,
        )

    def _is_serving(self, name: str) -> bool:
        version = self._routing.snapshot.versions.get(name)
        return (
            version is not None
            and version.status is AdapterStatus.READY
            and self._observed.get(name) == str(self._root / version.directory)
        )

    def _is_settled(self, name: str) -> bool:
        if self._is_serving(name):
            return True
        try:
            self._refuse_hopeless(name)
        except GraftlineError:
            return True
        return False

    def _refuse_hopeless(self, name: str) -> None:
        """Raise if waiting for a version is in vain."""
        snapshot = self._routing.snapshot
        version = snapshot.versions.get(name)
        if version is None or version.status is AdapterStatus.RETIRED:
            raise NotFound("model", name)
        if version.status is AdapterStatus.REJECTED:
            raise Conflict(f"The model '{name}' was rejected: {version.reason}")
        if version.base_model != snapshot.base:
            message = f"'{name}' belongs to the base model '{version.base_model}', "
            raise Conflict(f"{message}but the engine serves '{snapshot.base}'.")
        if not self.engine_up:
            raise Unavailable("engine", "The engine (vLLM) is not up; try again.")
        if name in self._setbacks and name not in self._observed:
            reason = self._setbacks[name].reason
            raise Unavailable("engine", f"'{name}' cannot be loaded now: {reason}")


@contextmanager
def _counted(counts: Counter[str], name: str) -> Iterator[None]:
    counts[name] += 1
    try:
        yield
    finally:
        counts[name] -= 1
        if not counts[name]:
            del counts[name]
