"""MLflow as the reporter uses it: experiments, runs, their parameters and metrics, in memory.

It refuses what MLflow refuses: a name twice, a parameter changed, too much at a time.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

MOST_PARAMS = 100
"""Parameters of one batch."""
MOST_METRICS = 1_000
"""Metrics of one batch."""
LONGEST_VALUE = 6_000
"""Characters of a parameter's value."""
_NAME = re.compile(r"[A-Za-z0-9_./: -]+")
_FILTER = re.compile(r"tags\.`([^`]+)` = '([^']+)'")


@dataclass(frozen=True)
class Param:
    """A parameter."""

    key: str
    value: str


@dataclass(frozen=True)
class Metric:
    """A metric at a step."""

    key: str
    value: float
    timestamp: int
    step: int


@dataclass
class _Run:
    experiment_id: str
    name: str
    tags: dict[str, str]
    id: str = field(default_factory=lambda: uuid4().hex)
    status: str = "RUNNING"
    params: dict[str, str] = field(default_factory=dict)
    history: list[Metric] = field(default_factory=list)

    def shown(self) -> SimpleNamespace:
        info = SimpleNamespace(run_id=self.id, status=self.status, run_name=self.name)
        last = {metric.key: metric.value for metric in self.history}
        return SimpleNamespace(info=info, data=SimpleNamespace(params=self.params, metrics=last))


class MlflowClient:
    """The client of a tracking server; all clients of one address share what it holds."""

    _servers: dict[str, tuple[dict[str, str], dict[str, _Run]]] = {}  # noqa: RUF012 - the servers outlive their clients

    def __init__(self, tracking_uri: str) -> None:
        self._experiments, self._runs = self._servers.setdefault(tracking_uri, ({}, {}))

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        """Return an experiment, or none."""
        found = self._experiments.get(name)
        return None if found is None else SimpleNamespace(experiment_id=found)

    def create_experiment(self, name: str) -> str:
        """Create an experiment and return its id."""
        assert name not in self._experiments, "RESOURCE_ALREADY_EXISTS"
        self._experiments[name] = str(len(self._experiments) + 1)
        return self._experiments[name]

    def search_runs(
        self, experiment_ids: Sequence[str], filter_string: str = "", max_results: int = 1000
    ) -> list[SimpleNamespace]:
        """Return the runs of experiments that have a tag."""
        wanted = _FILTER.fullmatch(filter_string)
        assert wanted is not None or not filter_string, "INVALID_PARAMETER_VALUE"
        found = [
            run.shown()
            for run in self._runs.values()
            if run.experiment_id in experiment_ids
            and (wanted is None or run.tags.get(wanted[1]) == wanted[2])
        ]
        return found[:max_results]

    def create_run(
        self, experiment_id: str, tags: dict[str, str], run_name: str
    ) -> SimpleNamespace:
        """Begin a run."""
        run = _Run(experiment_id, run_name, dict(tags))
        self._runs[run.id] = run
        return run.shown()

    def update_run(self, run_id: str, status: str) -> None:
        """Change a run's status."""
        self._runs[run_id].status = status

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric] = (), params: Sequence[Param] = ()
    ) -> None:
        """Take metrics and parameters."""
        run = self._runs[run_id]
        assert len(params) <= MOST_PARAMS
        assert len(metrics) <= MOST_METRICS
        for param in params:
            assert _NAME.fullmatch(param.key), param.key
            assert len(param.value) <= LONGEST_VALUE
            assert run.params.setdefault(param.key, param.value) == param.value
        for metric in metrics:
            assert _NAME.fullmatch(metric.key), metric.key
        run.history += metrics

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        """Return every value of a metric."""
        return [metric for metric in self._runs[run_id].history if metric.key == key]

    def set_terminated(self, run_id: str, status: str) -> None:
        """End a run."""
        self._runs[run_id].status = status


LIBRARY: Any = SimpleNamespace(
    MlflowClient=MlflowClient, entities=SimpleNamespace(Param=Param, Metric=Metric)
)
"""What stands for the module."""
