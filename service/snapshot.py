"""What can be asked for at one moment: the base model, the versions and the deployments.

It refuses to know which request asks, and what the engine holds.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from registry.records import AdapterVersion, Deployment
from registry.store import Store
from registry.store.catalogue import Contents

FULL_READ_SECONDS = 60.0
"""Longest time between two readings of every row, whatever the stamp says."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One consistent picture of the records that routing and reconciling need."""

    base: str
    """Name of the base model."""
    versions: Mapping[str, AdapterVersion]
    """Every version that is not deleted, by name, oldest first."""
    deployments: Mapping[tuple[str, str], Deployment]
    """Every deployment, by project and name."""

    def deployed(self) -> list[AdapterVersion]:
        """Return the versions that deployments point at, each once; shadows come last."""
        seen = [
            name
            for deployment in self.deployments.values()
            for name in (deployment.stable, deployment.candidate)
        ]
        unseen = [deployment.shadow for deployment in self.deployments.values()]
        return self.named(name for name in dict.fromkeys([*seen, *unseen]) if name is not None)

    def named(self, names: Iterable[str]) -> list[AdapterVersion]:
        """Return the versions of these names that exist."""
        return [self.versions[name] for name in names if name in self.versions]


@dataclass(frozen=True)
class _Latest:
    contents: Contents
    snapshot: Snapshot
    read_at: float  # when every row was read last


class SnapshotReader:
    """Reads snapshots from the store, and the rows only when they changed.

    Call it from one task at a time.
    """

    def __init__(
        self, store: Store, base: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._base = base
        self._clock = clock
        self._latest: _Latest | None = None

    async def __call__(self) -> Snapshot:
        """Return the snapshot of now; the same object when nothing changed.

        Raises:
            Unavailable: The database cannot be reached.
        """
        latest, read_at = self._latest, self._clock()
        if latest is not None and read_at - latest.read_at < FULL_READ_SECONDS:
            contents = await self._store.catalogue.read(latest.contents)
            if contents is latest.contents:
                return latest.snapshot
            read_at = latest.read_at
        else:
            contents = await self._store.catalogue.read()
        snapshot = Snapshot(
            base=self._base,
            versions={version.name: version for version in contents.versions},
            deployments={(each.project, each.name): each for each in contents.deployments},
        )
        self._latest = _Latest(contents, snapshot, read_at)
        return snapshot
