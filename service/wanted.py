"""What to do next, so that each replica holds what the records and the requests want. Pure.

It refuses to do it. Order matters: what somebody waits for, then what deployments serve, then what
was used last; things are taken away only after that.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from service.fleet.placement import Demand
from service.snapshot import Snapshot

_USABLE = frozenset({AdapterStatus.PUBLISHED, AdapterStatus.READY})
_UNWANTED = frozenset({AdapterStatus.REJECTED, AdapterStatus.RETIRED})


class Step(StrEnum):
    """One thing to do with one version on one replica."""

    LOAD = "load"
    EXAMINE = "examine"
    EVICT = "evict"
    """Unload a version that is wanted less than another one that needs its place."""
    UNLOAD = "unload"
    """Unload a version that nobody may use any more."""


@dataclass(frozen=True)
class Action:
    """A step and its version."""

    step: Step
    """What to do."""
    version: AdapterVersion
    """With which version."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that decides what to do next on one replica."""

    snapshot: Snapshot
    """The records."""
    root: Path
    """Folder of the published adapters."""
    observed: Mapping[str, str]
    """Path of every adapter the replica holds, by name."""
    examined: Mapping[str, str]
    """Path of every version that was examined there, by name."""
    held: Sequence[str]
    """Versions it should hold, the most urgent first."""
    fixed: Collection[str]
    """Versions that deployments name, or that are pinned: never evicted, and loaded beyond the
    room if need be."""
    waiting: Collection[str]
    """Versions that requests wait for: others are evicted for them."""
    resting: Collection[str]
    """Versions on which a step failed there lately."""
    busy: Collection[str]
    """Versions with a request in flight in any process."""
    recent: Collection[str]
    """Versions that another process used so lately that it may use them now, unheard."""
    used: Mapping[str, float]
    """Unix time in seconds of the last request, by version."""
    room: int
    """Most adapters it may hold."""
    reserve: int
    """Places left for other processes, which may be loading at this moment."""
    may_remove: bool
    """Whether this process is the one that unloads."""

    def path_of(self, version: AdapterVersion) -> str:
        """Return the path under which the replica should hold a version."""
        return str(self.root / version.directory)

    @property
    def has_place(self) -> bool:
        """Whether one more adapter may be loaded."""
        return len(self.observed) + self.reserve < self.room


def usable(snapshot: Snapshot, name: str) -> bool:
    """Return whether a version may be loaded at all."""
    version = snapshot.versions.get(name)
    return version is not None and version.status in _USABLE and version.base_model == snapshot.base


def demand_of(snapshot: Snapshot, *, waiting: Collection[str], used: Mapping[str, float]) -> Demand:
    """Return the versions that should be loaded, the most urgent first, each once.

    A checkpoint is wanted only once it is deployed, pinned or asked for. A version nobody used yet
    counts as used when it was made.
    """
    versions = snapshot.versions
    pinned = (version.name for version in versions.values() if version.pinned)
    fixed = [
        name
        for name in dict.fromkeys([*(one.name for one in snapshot.deployed()), *pinned])
        if usable(snapshot, name)
    ]
    known = set(fixed)
    others = [
        version
        for version in versions.values()
        if version.name not in known
        and (version.step is None or version.name in used or version.name in waiting)
        and usable(snapshot, version.name)
    ]
    ranks = {version.name: index for index, version in enumerate(others)}
    others.sort(
        key=lambda one: (one.name in waiting, recency(one, used), ranks[one.name]), reverse=True
    )
    return Demand(fixed=fixed, others=[version.name for version in others])


def recency(version: AdapterVersion, used: Mapping[str, float]) -> float:
    """Return when a version was used last, or made, in Unix time in seconds."""
    return max(used.get(version.name, 0.0), float(version.created_at))


def actions(situation: Situation) -> Iterator[Action]:
    """Yield what to do, the most urgent first."""
    versions = situation.snapshot.versions
    for name in sorted(situation.held, key=lambda name: name not in situation.waiting):
        if name in situation.resting or not usable(situation.snapshot, name):
            continue
        yield from _keep(situation, versions[name])
    if not situation.may_remove:
        return
    for version in versions.values():
        if version.status not in _UNWANTED or _may_be_used(situation, version.name):
            continue
        if version.name in situation.observed and version.name not in situation.resting:
            yield Action(Step.UNLOAD, version)
    if len(situation.observed) > situation.room and (spare := victim(situation)) is not None:
        yield Action(Step.EVICT, spare)


def _keep(situation: Situation, version: AdapterVersion) -> Iterator[Action]:
    name, path = version.name, situation.path_of(version)
    found = situation.observed.get(name)
    if found == path:
        if situation.examined.get(name) != path:
            yield Action(Step.EXAMINE, version)
    elif found is not None:  # other bytes under this name: unloaded before it is loaded anew
        if situation.may_remove:
            yield Action(Step.LOAD, version)
    elif situation.has_place:
        yield Action(Step.LOAD, version)
    else:
        yield from _make_room(situation, version)


def _make_room(situation: Situation, version: AdapterVersion) -> Iterator[Action]:
    """Yield what makes room for a version; one that is not urgent waits for a free place."""
    if version.name not in situation.fixed and version.name not in situation.waiting:
        return
    spare = victim(situation)
    if spare is None:
        if version.name in situation.fixed:
            yield Action(Step.LOAD, version)
    elif situation.may_remove:
        yield Action(Step.EVICT, spare)


def _may_be_used(situation: Situation, name: str) -> bool:
    return name in situation.busy or name in situation.recent


def victim(situation: Situation) -> AdapterVersion | None:
    """Return the version to evict: the least recently used of those that may go, if any may.

    Those that belong elsewhere go first. What we know nothing of stays: an operator loaded it. One
    that another process used a moment ago goes last but goes: a request that finds it gone has it
    loaded again, while a bound that waits for a calm moment may wait for ever.
    """
    kept = {*situation.fixed, *situation.waiting, *situation.busy, *situation.resting}
    versions = situation.snapshot.versions
    able = [versions[name] for name in situation.observed if name in versions and name not in kept]
    held = set(situation.held)
    return min(able, key=lambda one: (one.name in held, recency(one, situation.used)), default=None)


def is_crowded_out(situation: Situation, name: str) -> bool:
    """Return whether a version has no place, and nothing that is loaded may make room for it."""
    return (
        name not in situation.observed
        and name not in situation.fixed
        and len(situation.observed) >= situation.room
        and victim(situation) is None
    )
