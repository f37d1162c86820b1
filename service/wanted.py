"""What to do next, so that the engine holds what the records want.

It refuses to do it. Order matters: what somebody waits for, then what deployments serve, then the
newest versions; things are taken away only after that.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from service.snapshot import Snapshot

_USABLE = frozenset({AdapterStatus.PUBLISHED, AdapterStatus.READY})
_UNWANTED = frozenset({AdapterStatus.REJECTED, AdapterStatus.RETIRED})


class Step(StrEnum):
    """One thing to do with one version."""

    LOAD = "load"
    EXAMINE = "examine"
    UNLOAD = "unload"
    DELETE = "delete"


@dataclass(frozen=True)
class Action:
    """A step and its version."""

    step: Step
    """What to do."""
    version: AdapterVersion
    """With which version."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """All that decides what to do next."""

    snapshot: Snapshot
    """The records."""
    observed: Mapping[str, str]
    """Path of every adapter the engine holds, by name."""
    root: Path
    """Folder of the published adapters."""
    waiting: Iterable[str]
    """Versions that requests wait for now."""
    asked: Iterable[str]
    """Versions that requests asked for at some time; a checkpoint is wanted only then."""
    busy: Collection[str]
    """Models with a request in flight."""
    drained: Collection[str]
    """Versions that an earlier look found unloaded and without a request in flight."""

    def path_of(self, version: AdapterVersion) -> str:
        """Return the path under which the engine should hold a version."""
        return str(self.root / version.directory)

    def is_loaded(self, version: AdapterVersion) -> bool:
        """Return whether the engine holds a version, from its own path."""
        return self.observed.get(version.name) == self.path_of(version)

    def is_idle(self, version: AdapterVersion) -> bool:
        """Return whether the engine does not hold a version and no request uses it."""
        return version.name not in self.observed and version.name not in self.busy


def wanted(situation: Situation) -> list[AdapterVersion]:
    """Return the versions that should be loaded, the most urgent first, each once."""
    snapshot = situation.snapshot
    finals = [version for version in snapshot.versions.values() if version.step is None]
    ranked = [
        *snapshot.named(situation.waiting),
        *snapshot.deployed(),
        *reversed(finals),
        *snapshot.named(situation.asked),
    ]
    usable = {
        version.name: version
        for version in ranked
        if version.status in _USABLE and version.base_model == snapshot.base
    }
    return list(usable.values())


def actions(situation: Situation) -> Iterator[Action]:
    """Yield what to do, the most urgent first."""
    for version in wanted(situation):
        if not situation.is_loaded(version):
            yield Action(Step.LOAD, version)
        elif version.status is AdapterStatus.PUBLISHED:
            yield Action(Step.EXAMINE, version)
    for version in situation.snapshot.versions.values():
        if version.status not in _UNWANTED or version.name in situation.busy:
            continue
        if version.name in situation.observed:
            yield Action(Step.UNLOAD, version)
        elif version.status is AdapterStatus.RETIRED and version.name in situation.drained:
            yield Action(Step.DELETE, version)


def idle_retired(situation: Situation) -> frozenset[str]:
    """Return the retired versions that are unloaded and unused now; next time they may go."""
    return frozenset(
        version.name
        for version in situation.snapshot.versions.values()
        if version.status is AdapterStatus.RETIRED and situation.is_idle(version)
    )
