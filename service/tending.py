"""One replica's care: look at it, do what is to be done there, and note what failed.

It refuses to know the other replicas: a slow or dead one delays nobody but itself.
"""

import logging
import time
from dataclasses import dataclass
from typing import Protocol

from registry.errors import (
    ArtifactError,
    Conflict,
    EngineError,
    NotFound,
    StoreAway,
    Unavailable,
)
from service.fleet.fleet import Fleet
from service.fleet.health import probed
from service.fleet.replica import Replica
from service.grafting import Grafting, Ineffective
from service.metrics import ServiceMetrics
from service.wanted import Action, Situation, actions

MAX_BACKOFF_SECONDS = 60.0
"""Longest time between two attempts on a version that fails again and again."""

_MENDABLE = (EngineError, ArtifactError, StoreAway, Ineffective, Conflict, NotFound, OSError)
"""What may befall one version without touching the others; it is tried again later."""

logger = logging.getLogger(__name__)


class Overseer(Protocol):
    """Who knows what all replicas have in common."""

    def situation_of(self, tender: "Tender") -> Situation:
        """Return what decides the next step on the tender's replica."""
        ...

    async def refresh(self) -> None:
        """Read the records again."""
        ...

    async def announce(self) -> None:
        """Tell whoever waits that something changed."""
        ...

    def kick(self) -> None:
        """Have every replica looked at: one went or came."""
        ...


@dataclass(frozen=True)
class Setback:
    """A step on a version failed, and is tried again later."""

    reason: str
    """What was said."""
    attempts: int
    """How often it failed in a row."""
    not_before: float
    """When it is tried again, in seconds of the clock that only goes forward."""


class Tender:
    """Makes one replica hold what it should."""

    def __init__(
        self,
        replica: Replica,
        *,
        fleet: Fleet,
        grafting: Grafting,
        overseer: Overseer,
        metrics: ServiceMetrics,
        pause_seconds: float,
    ) -> None:
        self.replica = replica
        """The replica."""
        self.setbacks: dict[str, Setback] = {}
        """Steps that failed there, by version."""
        self.seen_at = float("-inf")
        """When it was last seen what the replica holds, on the clock that only goes forward."""
        self._fleet = fleet
        self._grafting = grafting
        self._overseer = overseer
        self._metrics = metrics
        self._pause_seconds = pause_seconds

    async def run(self) -> None:
        """Look whenever the replica is woken, until cancelled."""
        while True:
            self.replica.woken.clear()
            try:
                await self.look()
            except Exception:  # the edge of the loop: whatever a look met, the next one goes on
                logger.exception("a look at %s failed", self.replica.name)
                self._metrics.reconcile_errors.inc()
            await self.replica.woken.wait()

    async def look(self) -> None:
        """Look at the replica and do all that is to be done there now.

        Raises:
            GraftlineError: The records could not be changed.
        """
        try:
            await self._observe()
            while (action := self._next()) is not None:
                await self._perform(action)
        except Unavailable as exc:
            if exc.part != "engine":
                raise
            await self._mark_down(exc)
            return
        self._metrics.reconcile_last_success.set_to_current_time()
        await self._overseer.announce()

    def resting(self) -> frozenset[str]:
        """Return the versions on which a step failed lately."""
        now = time.monotonic()
        return frozenset(name for name, one in self.setbacks.items() if one.not_before > now)

    async def _observe(self) -> None:
        started = time.monotonic()
        if not await self.replica.engine.is_healthy():
            raise Unavailable("engine", "It is not healthy.")
        self.replica.believe(await self.replica.engine.loaded())
        self.seen_at = started
        was_down = not self.replica.health.answers
        self._fleet.judge(
            self.replica, probed(self.replica.health, answered=True, now=time.monotonic())
        )
        await self._overseer.announce()
        if was_down:
            self._overseer.kick()

    def _next(self) -> Action | None:
        return next(actions(self._overseer.situation_of(self)), None)

    async def _perform(self, action: Action) -> None:
        name = action.version.name
        try:
            await self._grafting.perform(action, self.replica)
        except _MENDABLE as exc:
            self._set_back(name, str(exc))
        except Unavailable:  # nothing is known of the version: the replica or the database is away
            raise
        except Exception as exc:  # the edge of one version: the others are tended all the same
            logger.exception("%s failed on %s", name, self.replica.name)
            self._set_back(name, f"An unexpected {type(exc).__name__}; the log tells more.")
        else:
            self.setbacks.pop(name, None)
        await self._overseer.refresh()
        await self._overseer.announce()

    def _set_back(self, name: str, reason: str) -> None:
        attempts = self.setbacks[name].attempts + 1 if name in self.setbacks else 1
        pause = min(2.0**attempts * self._pause_seconds, MAX_BACKOFF_SECONDS)
        self.setbacks[name] = Setback(reason, attempts, time.monotonic() + pause)
        self._metrics.reconcile_errors.inc()
        logger.warning("%s on %s: %s", name, self.replica.name, reason)

    async def _mark_down(self, error: Unavailable) -> None:
        if was_up := self.replica.health.answers:
            logger.warning("%s does not answer: %s", self.replica.name, error)
        self._fleet.judge(
            self.replica, probed(self.replica.health, answered=False, now=time.monotonic())
        )
        await self._overseer.announce()
        if was_up:
            self._overseer.kick()
