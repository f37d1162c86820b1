"""What the service processes tell one another through the store, about once a second.

It refuses to know what follows from it. Each says which versions it uses; one of them holds the
lease to unload, evict and delete, and loses it by silence.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from registry.errors import GraftlineError
from registry.records import AdapterUse, Lease
from registry.store import Store
from service.demand import Demand

SAY_SECONDS = 1.0
"""Time between two statements."""
LIVE_SECONDS = 4.0
"""Silence after which a process's last statement is not believed any more."""
SWEEP_SECONDS = 60.0
"""Age at which statements are deleted."""
LEASE_SECONDS = 5.0
"""Time a lease holds, by the clock of the store's readers, without being renewed."""
_MARGIN_SECONDS = 2.0
"""How far the clocks of two hosts may be apart before two processes hold one lease."""
LEASE = "adapters"
"""Name of the lease to unload, evict and delete."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Others:
    """What the other live processes say, taken together."""

    count: int = 0
    """How many there are."""
    in_flight: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """Their requests on each version."""
    used: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Unix time in seconds of their last request on each version."""


def others_of(uses: list[AdapterUse], process: str) -> Others:
    """Return what the statements of the processes but one say, taken together."""
    foreign = [use for use in uses if use.process != process]
    in_flight: dict[str, int] = {}
    used: dict[str, float] = {}
    for use in foreign:
        if use.adapter:
            in_flight[use.adapter] = in_flight.get(use.adapter, 0) + use.in_flight
            used[use.adapter] = max(used.get(use.adapter, 0.0), use.last_used_at)
    return Others(count=len({use.process for use in foreign}), in_flight=in_flight, used=used)


class Sharing:
    """This process among the others."""

    def __init__(
        self,
        store: Store,
        demand: Demand,
        *,
        process: str | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._demand = demand
        self._clock = clock
        self._steady = steady
        self._leads_until = float("-inf")
        # Protects the order: a statement replaces the one before it, so two never cross.
        self._saying = asyncio.Lock()
        self.process = process or name_here()
        """What this process calls itself; no two are alike."""
        self.others = Others()
        """What the others said last."""
        self.heard_at = float("-inf")
        """When the others were heard last, on the clock that only goes forward."""

    @property
    def leads(self) -> bool:
        """Whether this process may unload, evict and delete."""
        return self._steady() < self._leads_until and self.is_informed

    @property
    def is_informed(self) -> bool:
        """Whether what the others said is recent enough to act on."""
        return self._steady() - self.heard_at < LIVE_SECONDS

    def now(self) -> float:
        """Return the Unix time in seconds, as statements carry it."""
        return self._clock()

    async def run(self) -> None:
        """Tell and listen every `SAY_SECONDS`, until cancelled; then leave."""
        try:
            while True:
                try:
                    await self.once()
                except GraftlineError as exc:
                    logger.warning("the other service processes are not heard: %s", exc)
                await asyncio.sleep(SAY_SECONDS)
        finally:
            self._leads_until = float("-inf")

    async def once(self) -> None:
        """Say what this process uses, take or renew the lease, and hear the others.

        Raises:
            GraftlineError: The database does not answer.
        """
        async with self._saying:
            now, started = self._clock(), self._steady()
            await self._store.uses.say(
                self.process, self._statement(now), forget_before=now - SWEEP_SECONDS
            )
            lease = Lease(name=LEASE, holder=self.process, expires_at=now + LEASE_SECONDS)
            if await self._store.leases.take(lease, now=now - _MARGIN_SECONDS):
                self._leads_until = started + LEASE_SECONDS
            else:
                self._leads_until = float("-inf")
            uses = await self._store.uses.live(since=now - LIVE_SECONDS)
            self.others = others_of(uses, self.process)
            self.heard_at = started

    async def leave(self) -> None:
        """Hand the lease on and take the statement back: this process stops."""
        self._leads_until = float("-inf")
        try:
            await self._store.leases.give_back(LEASE, self.process)
            await self._store.uses.leave(self.process)
        except GraftlineError as exc:
            logger.warning("the other service processes were not told of the stop: %s", exc)

    def _statement(self, now: float) -> list[AdapterUse]:
        """Return what this process uses or used lately; at least that it lives."""
        demand = self._demand
        recent = {
            name: at
            for name, at in demand.used.items()
            if demand.is_busy(name) or demand.waiting[name] or now - at < LIVE_SECONDS
        }
        busy = {name: now for name, count in demand.in_flight.items() if count > 0}
        return [
            AdapterUse(
                process=self.process,
                adapter=name,
                in_flight=max(demand.in_flight.get(name, 0), demand.waiting[name]),
                last_used_at=at,
                said_at=now,
            )
            for name, at in {"": now, **recent, **busy}.items()
        ]


def name_here() -> str:
    """Return a name for this process: host, process id, and random digits."""
    return f"{socket.gethostname()[:32]}:{os.getpid()}:{secrets.token_hex(4)}"
