"""The part of the service's metrics that belongs to one project.

It refuses to know what is measured: a series belongs to a project when its labels name the
project's own adapter versions or deployments.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from service.snapshot import Snapshot


@dataclass(frozen=True)
class Owned:
    """The names that only one project has."""

    models: frozenset[str]
    """Its adapter versions."""
    deployments: frozenset[str]
    """Its deployments, but for names that another project uses too."""
    shared_model: str
    """The base model: its series are the project's only through a deployment of its own."""


def owned_by(project: str, snapshot: Snapshot) -> Owned:
    """Return what belongs to a project at one moment."""
    mine = {one.name for one in snapshot.deployments.values() if one.project == project}
    others = {one.name for one in snapshot.deployments.values() if one.project != project}
    return Owned(
        models=frozenset(one.name for one in snapshot.versions.values() if one.project == project),
        deployments=frozenset(mine - others),
        shared_model=snapshot.base,
    )


class ProjectMetrics(Collector):
    """The series of one project, for `generate_latest`."""

    def __init__(self, registry: CollectorRegistry, owned: Owned) -> None:
        self._registry = registry
        self._owned = owned

    def collect(self) -> Iterable[Metric]:
        """Return the families that have series of the project, and only those series."""
        for family in self._registry.collect():
            samples = list(self._own(family.samples))
            if samples:
                shown = Metric(family.name, family.documentation, family.type, family.unit)
                shown.samples = samples
                yield shown

    def _own(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        for sample in samples:
            if _is_owned(sample.labels, self._owned):
                yield sample


def _is_owned(labels: dict[str, str], owned: Owned) -> bool:
    model, deployment = labels.get("model"), labels.get("deployment")
    if model in owned.models:
        return True
    return deployment in owned.deployments and model in {None, owned.shared_model}
