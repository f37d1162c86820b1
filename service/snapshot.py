"""What can be asked for at one moment: the base model, the versions and the deployments.

It refuses to know which request asks, and what the engine holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.records import AdapterVersion, Deployment
from registry.store import Store


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
        """Return the versions that deployments point at, each once."""
        names = dict.fromkeys(
            name
            for deployment in self.deployments.values()
            for name in (deployment.stable, deployment.candidate, deployment.shadow)
            if name is not None
        )
        return self.named(names)

    def named(self, names: Iterable[str]) -> list[AdapterVersion]:
        """Return the versions of these names that exist."""
        return [self.versions[name] for name in names if name in self.versions]


async def read_snapshot(store: Store, base: str) -> Snapshot:
    """Read a snapshot from the store.

    Raises:
        Unavailable: The database cannot be reached.
    """
    versions = await store.adapters.present()
    deployments = await store.deployments.of(None)
    return Snapshot(
        base=base,
        versions={version.name: version for version in versions},
        deployments={(each.project, each.name): each for each in deployments},
    )
