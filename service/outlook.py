"""What decides the next step on each replica, put together from all that is known at a moment.

It refuses to decide: `placement.py` and `wanted.py` do.
"""

from collections.abc import Collection, Mapping

from registry.lifecycle import AdapterStatus
from registry.settings import Settings
from service.demand import Demand
from service.fleet.fleet import Fleet
from service.fleet.placement import Demand as Wishes
from service.fleet.placement import Placement, place
from service.fleet.replica import Replica
from service.routing import RoutingTable
from service.sharing import Sharing
from service.snapshot import Snapshot
from service.wanted import Situation, demand_of

RECENT_SECONDS = 2.5
"""Time after another process's last request for which a version may be in use there: it may have
begun another request since it spoke."""


class Outlook:
    """The picture that the reconcile loop acts on."""

    def __init__(
        self,
        *,
        settings: Settings,
        fleet: Fleet,
        routing: RoutingTable,
        demand: Demand,
        sharing: Sharing,
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._routing = routing
        self._demand = demand
        self._sharing = sharing
        self._drawn: _Drawing | None = None

    def placement(self) -> Placement:
        """Return which replica should hold which version, by what is known now."""
        return self._drawing().placement

    def situation_of(self, replica: Replica, resting: Collection[str]) -> Situation:
        """Return what decides the next step on a replica."""
        drawing, sharing = self._drawing(), self._sharing
        return Situation(
            snapshot=drawing.snapshot,
            root=self._settings.adapters_dir,
            observed=replica.observed,
            examined=replica.examined,
            held=drawing.placement.held.get(replica.name, ()),
            fixed=drawing.fixed,
            waiting=drawing.waiting,
            resting=resting,
            busy=self._busy(),
            recent=self._recent(),
            used=drawing.used,
            room=self._settings.max_loaded_adapters,
            reserve=0 if sharing.leads else max(1, sharing.others.count),
            may_remove=sharing.leads,
        )

    def idle_retired(self) -> frozenset[str]:
        """Return the retired versions that no replica holds and no process uses.

        None while a replica cannot be seen: what it holds is unknown.
        """
        replicas = self._fleet.replicas
        if not replicas or not all(replica.health.answers for replica in replicas):
            return frozenset()
        busy = self._busy() | self._recent()
        return frozenset(
            version.name
            for version in self._routing.snapshot.versions.values()
            if version.status is AdapterStatus.RETIRED
            and version.name not in busy
            and not any(version.name in replica.observed for replica in replicas)
        )

    def _drawing(self) -> "_Drawing":
        """Draw the placement again if records, waiting requests or replicas changed."""
        snapshot = self._routing.snapshot
        waiting = frozenset({*self._demand.waiting, *self._waited_for_elsewhere()})
        there = tuple(replica.name for replica in self._fleet.replicas if replica.health.answers)
        drawn = self._drawn
        if drawn is None or not drawn.is_of(snapshot, waiting, there):
            used = _latest(self._demand.used, self._sharing.others.used)
            drawn = _Drawing(snapshot, waiting, there, used, self._settings.max_loaded_adapters)
            self._drawn = drawn
        return drawn

    def _waited_for_elsewhere(self) -> Collection[str]:
        """Return the versions that requests of other processes wait for: no replica has them."""
        replicas = self._fleet.replicas
        return [
            name
            for name, count in self._sharing.others.in_flight.items()
            if count and not any(name in replica.observed for replica in replicas)
        ]

    def _busy(self) -> frozenset[str]:
        others = self._sharing.others
        return frozenset(
            {
                *(name for name, count in self._demand.in_flight.items() if count),
                *(name for name, count in others.in_flight.items() if count),
            }
        )

    def _recent(self) -> frozenset[str]:
        since = self._sharing.now() - RECENT_SECONDS
        return frozenset(name for name, at in self._sharing.others.used.items() if at > since)


class _Drawing:
    """A placement, and what it was drawn from."""

    def __init__(
        self,
        snapshot: Snapshot,
        waiting: frozenset[str],
        there: tuple[str, ...],
        used: Mapping[str, float],
        room: int,
    ) -> None:
        wishes: Wishes = demand_of(snapshot, waiting=waiting, used=used)
        self.snapshot = snapshot
        self.waiting = waiting
        self.used = used
        self.fixed = frozenset(wishes.fixed)
        self.placement = place(wishes, there, room)
        self._there = there

    def is_of(self, snapshot: Snapshot, waiting: frozenset[str], there: tuple[str, ...]) -> bool:
        return self.snapshot is snapshot and self.waiting == waiting and self._there == there


def _latest(mine: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    return {name: max(mine.get(name, 0.0), theirs.get(name, 0.0)) for name in {*mine, *theirs}}
