"""The loop that makes every replica hold what the records want, and knows what each holds.

It refuses to decide what is wanted (`wanted.py` does) and to know vLLM's wire. "Loaded" is always
observed: after a restart of a replica everything is observed missing there and loaded again.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress

from registry.errors import (
    ArtifactError,
    Conflict,
    GraftlineError,
    NotFound,
    StoreAway,
    Unavailable,
)
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from registry.settings import Settings
from registry.store import Store
from service.demand import Demand
from service.fleet.fleet import Fleet
from service.fleet.replica import Replica
from service.grafting import Grafting
from service.metrics import ServiceMetrics
from service.outlook import Outlook
from service.routing import RoutingTable
from service.sharing import Sharing
from service.tending import Tender
from service.wanted import Situation, is_crowded_out

WAIT_SECONDS = 10.0
"""Longest time a request waits for its version to be loaded and examined."""
GRACE_SECONDS = 3.0
"""Time that a retired version is unused before its files go, when other service processes run: each
hears within a second that it is retired, and says within another what it uses."""

logger = logging.getLogger(__name__)


class Reconciler:
    """Has every replica tended, and tells requests which version they can have."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        fleet: Fleet,
        routing: RoutingTable,
        metrics: ServiceMetrics,
        demand: Demand,
        sharing: Sharing,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._routing = routing
        self._metrics = metrics
        self._demand = demand
        self._sharing = sharing
        self._grafting = Grafting(settings=settings, store=store, metrics=metrics)
        self._outlook = Outlook(
            settings=settings, fleet=fleet, routing=routing, demand=demand, sharing=sharing
        )
        self._wait_seconds = wait_seconds
        self._tenders: dict[Replica, Tender] = {}
        self._tasks: dict[Replica, asyncio.Task[None]] = {}
        self._idle_since: dict[str, float] = {}
        self._known: Mapping[str, AdapterVersion] = {}
        self._kicked_at = float("-inf")
        self._woken = asyncio.Event()
        self._changed = asyncio.Condition()  # protects nothing; wakes the requests that wait

    @property
    def engine_up(self) -> bool:
        """Whether a replica answered when it was last looked at."""
        return any(replica.health.answers for replica in self._fleet.replicas)

    @property
    def loaded(self) -> Mapping[str, list[str]]:
        """Names of the replicas that held an adapter when they were last looked at, by adapter."""
        found: dict[str, list[str]] = {}
        for replica in self._fleet.replicas:
            for name in replica.observed:
                found.setdefault(name, []).append(replica.name)
        return found

    def holders_of(self, name: str) -> list[str]:
        """Return the names of the replicas that held an adapter when they were last looked at."""
        return [one.name for one in self._fleet.replicas if name in one.observed]

    def fault_of(self, name: str) -> str | None:
        """Return why the last step on a version failed on a replica; none when none did."""
        for replica, tender in self._tenders.items():
            if (setback := tender.setbacks.get(name)) is not None:
                return f"{replica.name}: {setback.reason}"
        return None

    def wake(self) -> None:
        """Compare wanted and loaded at once."""
        self._woken.set()

    def hold(self, model: str) -> None:
        """Count a request on a model, until `release`; what is counted is never taken away."""
        self._demand.hold(model)

    def release(self, model: str) -> None:
        """Count the end of a request on a model."""
        self._demand.release(model)

    def forget(self, replica: Replica, name: str) -> None:
        """Take note that a replica did not know an adapter we believed loaded."""
        replica.forget(name)
        self._settle()
        replica.woken.set()

    async def ensure(
        self, version: AdapterVersion, without: Collection[Replica] = frozenset()
    ) -> None:
        """Return once a replica serves a version, waiting for a bounded time.

        However many requests wait for a version, a replica loads it once: only its tender loads.

        Args:
            version: The version.
            without: Replicas that do not count: they failed the request already.

        Raises:
            NotFound: It was retired meanwhile.
            Conflict: It was rejected, or belongs to another base model.
            Unavailable: It is not ready in time, no replica is up, or there is no room for it.
        """
        name = version.name
        if self._is_serving(name, without):
            return
        self._refuse_hopeless(name)
        with self._demand.wait(name):
            self.wake()
            try:
                async with asyncio.timeout(self._wait_seconds), self._changed:
                    await self._changed.wait_for(lambda: self._is_settled(name, without))
            except TimeoutError as exc:
                message = f"'{name}' is being loaded and examined; try again."
                raise Unavailable("engine", message) from exc
            if not self._is_serving(name, without):
                self._refuse_hopeless(name)

    async def run(self) -> None:
        """Reconcile every `reconcile_seconds`, and at once when woken, until cancelled."""
        self._tenders, self._tasks = {}, {}
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tick())
            while True:
                self._woken.clear()
                try:
                    await self._pass(group)
                except Exception:  # the edge of the loop: the next pass goes on
                    logger.exception("a reconcile pass failed")
                    self._metrics.reconcile_errors.inc()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._settings.reconcile_seconds):
                        await self._woken.wait()

    async def refresh(self) -> None:
        """Read the records again; if they cannot be read, serve on with the picture we have."""
        try:
            await self._routing.refresh()
        except Unavailable as exc:
            logger.warning("records not read: %s", exc)
            self._metrics.reconcile_errors.inc()

    async def announce(self) -> None:
        """Settle what each replica serves, set the metrics, and wake the requests that wait."""
        self._settle()
        self._measure()
        async with self._changed:
            self._changed.notify_all()

    def situation_of(self, tender: Tender) -> Situation:
        """Return what decides the next step on a tender's replica."""
        return self._outlook.situation_of(tender.replica, tender.resting())

    def kick(self) -> None:
        """Have every replica looked at."""
        self._kicked_at = time.monotonic()
        for replica in self._tenders:
            replica.woken.set()

    async def _tick(self) -> None:
        """Have the replicas looked at even while a pass hangs on a slow database."""
        while True:
            await asyncio.sleep(self._settings.reconcile_seconds)
            if time.monotonic() - self._kicked_at > 2 * self._settings.reconcile_seconds:
                self.kick()

    async def _pass(self, group: asyncio.TaskGroup) -> None:
        self._follow_fleet(group)
        await self.refresh()
        await self._forget_deleted()
        self.kick()
        await self._delete_drained()

    def _follow_fleet(self, group: asyncio.TaskGroup) -> None:
        """Tend the replicas that joined, and leave those that went."""
        for replica in [one for one in self._tenders if one not in self._fleet.replicas]:
            del self._tenders[replica]
            self._tasks.pop(replica).cancel()
        for replica in self._fleet.replicas:
            if replica not in self._tenders:
                tender = Tender(
                    replica,
                    fleet=self._fleet,
                    grafting=self._grafting,
                    overseer=self,
                    metrics=self._metrics,
                    pause_seconds=self._settings.reconcile_seconds,
                )
                self._tenders[replica] = tender
                self._tasks[replica] = group.create_task(tender.run())

    async def _forget_deleted(self) -> None:
        """Drop what is kept of versions that were deleted, here or by another process."""
        present = self._routing.snapshot.versions
        for name in self._known.keys() - present.keys():
            self._metrics.forget(name)
            try:
                await self._grafting.forget(self._known[name])
            except (ArtifactError, OSError) as exc:
                logger.warning("the copy of %s is not deleted: %s", name, exc)
        self._known = present
        self._demand.keep_only({*present, self._routing.snapshot.base})

    async def _delete_drained(self) -> None:
        """Delete the files of retired versions that nobody holds or uses since an earlier look."""
        idle = self._outlook.idle_retired() if self._sharing.leads else frozenset()
        now = time.monotonic()
        self._idle_since = {name: self._idle_since.get(name, now) for name in idle}
        grace = GRACE_SECONDS if self._sharing.others.count else 0.0
        looked = min((one.seen_at for one in self._tenders.values()), default=float("-inf"))
        for name, since in self._idle_since.items():
            if now - since < grace or looked <= since:
                continue
            try:
                await self._grafting.delete(self._routing.snapshot.versions[name])
            except (ArtifactError, StoreAway, Conflict, NotFound, OSError) as exc:
                logger.warning("%s is not deleted: %s", name, exc)
                self._metrics.reconcile_errors.inc()
        await self.announce()

    def _settle(self) -> None:
        """Say which versions each replica may answer for: observed, examined, and ready."""
        versions = self._routing.snapshot.versions
        for replica in self._fleet.replicas:
            serving = frozenset(
                name
                for name, path in replica.examined.items()
                if replica.observed.get(name) == path
                and (version := versions.get(name)) is not None
                and version.status is AdapterStatus.READY
            )
            if serving != replica.serving:
                replica.serving = serving
                self._fleet.changed()

    def _measure(self) -> None:
        metrics, replicas = self._metrics, self._fleet.replicas
        for replica in replicas:
            metrics.engine_up.labels(replica.name).set(replica.health.answers)
            metrics.replica_adapters.labels(replica.name).set(len(replica.observed))
        versions = self._routing.snapshot.versions
        counts = Counter(version.status for version in versions.values())
        for status in AdapterStatus:
            metrics.adapters.labels(status).set(counts[status])
        metrics.adapters.labels("loaded").set(len(self.loaded))

    def _is_serving(self, name: str, without: Collection[Replica]) -> bool:
        return any(replica not in without for replica in self._fleet.holders(name))

    def _is_settled(self, name: str, without: Collection[Replica]) -> bool:
        if self._is_serving(name, without):
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
        if name in self._demand.waiting:
            self._refuse_homeless(name)

    def _refuse_homeless(self, name: str) -> None:
        """Raise if every replica on which a version belongs failed at it, or is full."""
        homes = self._outlook.placement().homes.get(name, ())
        tenders = [one for one in self._tenders.values() if one.replica.name in homes]
        faults = [one.setbacks.get(name) for one in tenders]
        if tenders and all(faults):
            reason = next(fault.reason for fault in faults if fault is not None)
            raise Unavailable("engine", f"'{name}' cannot be loaded now: {reason}")
        if all(is_crowded_out(self.situation_of(one), name) for one in tenders):
            room = self._settings.max_loaded_adapters
            raise Unavailable(
                "engine",
                f"'{name}' cannot be loaded now: every place for adapters ({room} on each replica) "
                "is taken by what deployments name, by pins or by requests in flight. Try again, "
                "unpin a version, or raise GRAFTLINE_MAX_LOADED_ADAPTERS.",
            )
