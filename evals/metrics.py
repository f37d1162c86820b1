"""What the exams tell Prometheus, in one class.

It refuses to compute: scores come from stored results, so they survive a restart. Excluded: all
adapters but the newest `MAX_ADAPTERS`, those that are retired or gone, all suites but the first
`MAX_SUITES`, single rows, and projects (an adapter's name holds its own) except where drift is
shown: deployments of two projects may have one name.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from evals.drift.gauges import DriftGauges
from evals.suites.suite import HELDOUT
from registry.lifecycle import EvaluationStatus
from registry.records import DriftReport, Evaluation, Verdict

MAX_ADAPTERS = 100
"""Adapters shown: those evaluated last."""
MAX_SUITES = 8
"""Suites of an evaluation shown beside the held-out rows: the first ones."""


class Metrics:
    """Everything that `/metrics` of the evals process shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "graftline_evaluation_requests",
            "Requests of the exams: answered, refused (the row is unscored) or retried.",
            ["outcome"],
            registry=self.registry,
        )
        self.progress = Gauge(
            "graftline_evaluation_progress_ratio",
            "Share of the running evaluation's answers that are stored; 0 when none runs.",
            registry=self.registry,
        )
        self._stored = StoredResults()
        self.registry.register(self._stored)
        self._drift = DriftGauges()
        self.registry.register(self._drift)

    def show_results(self, latest: Iterable[Evaluation]) -> None:
        """Show the newest succeeded evaluation of each adapter from now on."""
        newest = sorted(latest, key=lambda evaluation: evaluation.finished_at or 0)
        self._stored.evaluations = tuple(newest[-MAX_ADAPTERS:])

    def show_only(self, adapters: Collection[str]) -> None:
        """Show no results of other adapters: those that are retired or gone."""
        kept = [each for each in self._stored.evaluations if each.adapter in adapters]
        self._stored.evaluations = tuple(kept)

    @property
    def shown(self) -> frozenset[str]:
        """The adapters whose results are shown."""
        return frozenset(evaluation.adapter for evaluation in self._stored.evaluations)

    def show_counts(self, counts: Mapping[EvaluationStatus, int]) -> None:
        """Show how many evaluations have each status from now on."""
        self._stored.counts = dict(counts)

    def show_drift(self, reports: Sequence[DriftReport]) -> None:
        """Show these reports on drift from now on, and no others."""
        self._drift.reports = tuple(reports)

    def count(self, outcome: str) -> None:
        """Count one request of the exams."""
        self.requests.labels(outcome=outcome).inc()


class StoredResults(Collector):
    """Gauges made from stored evaluations at each scrape."""

    def __init__(self) -> None:
        self.evaluations: tuple[Evaluation, ...] = ()
        self.counts: dict[EvaluationStatus, int] = {}

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also those without a sample."""
        families = _Families()
        for evaluation in self.evaluations:
            if evaluation.results is not None:
                families.add(evaluation, evaluation.results)
        for status in EvaluationStatus:
            families.counts.add_metric([status], self.counts.get(status, 0))
        yield from families.all()


class _Families:
    def __init__(self) -> None:
        self.score = GaugeMetricFamily(
            "graftline_evaluation_score",
            "Mean score of an arm on the rows of a suite.",
            labels=["adapter", "suite", "arm", "metric"],
        )
        self.difference = GaugeMetricFamily(
            "graftline_evaluation_difference",
            "Adapter minus baseline on the same rows: estimate, and bounds of its interval.",
            labels=["adapter", "suite", "baseline", "metric", "bound"],
        )
        self.rows = GaugeMetricFamily(
            "graftline_evaluation_rows",
            "Rows of a suite that an arm answered.",
            labels=["adapter", "suite", "arm"],
        )
        self.gap = GaugeMetricFamily(
            "graftline_evaluation_gap",
            "Training minus held-out rows: the adapter's, and what of it is beyond its base's.",
            labels=["adapter", "metric", "of", "bound"],
        )
        self.flips = GaugeMetricFamily(
            "graftline_evaluation_flips",
            "Share of the unrelated answers that changed against the base model's.",
            labels=["adapter", "kind", "bound"],
        )
        self.verdict = GaugeMetricFamily(
            "graftline_evaluation_verdict",
            "1 for the verdict that holds.",
            labels=["adapter", "verdict"],
        )
        self.finished = GaugeMetricFamily(
            "graftline_evaluation_finished_timestamp_seconds",
            "When the newest evaluation finished.",
            labels=["adapter"],
        )
        self.counts = GaugeMetricFamily(
            "graftline_evaluations", "Evaluations by status.", labels=["status"]
        )

    def all(self) -> tuple[Metric, ...]:
        return (
            self.score,
            self.difference,
            self.rows,
            self.gap,
            self.flips,
            self.verdict,
            self.finished,
            self.counts,
        )

    def add(self, evaluation: Evaluation, results: Mapping[str, Any]) -> None:
        adapter = evaluation.adapter
        suites = dict(list((results.get("suites") or {}).items())[:MAX_SUITES])
        for suite, shown in {HELDOUT: results, **suites}.items():
            self._add_suite(adapter, suite, shown)
        self._add_findings(adapter, results.get("findings") or {})
        for verdict in Verdict:
            self.verdict.add_metric([adapter, verdict], float(evaluation.verdict == verdict))
        _known(self.finished, [adapter], evaluation.finished_at)

    def _add_suite(self, adapter: str, suite: str, results: Mapping[str, Any]) -> None:
        for arm, found in results["arms"].items():
            self.rows.add_metric([adapter, suite, arm], found["n"] - found["unscored"])
            for metric, estimate in found["metrics"].items():
                _known(self.score, [adapter, suite, arm, metric], estimate["mean"])
        for difference in results["differences"]:
            labels = [adapter, suite, difference["baseline"], difference["metric"]]
            for bound in ("estimate", "low", "high"):
                _known(self.difference, [*labels, bound], difference[bound])

    def _add_findings(self, adapter: str, findings: Mapping[str, Any]) -> None:
        for gap in findings.get("gaps") or []:
            for of in ("adapter", "beyond_base"):
                _bounds(self.gap, [adapter, gap["metric"], of], gap[of])
        behaviour = findings.get("behaviour") or {}
        for kind in ("broken", "mended", "changed"):
            if kind in behaviour:
                _bounds(self.flips, [adapter, kind], behaviour[kind])


def _bounds(family: GaugeMetricFamily, labels: list[str], found: Mapping[str, Any]) -> None:
    """Add an estimate with the bounds of its interval."""
    for bound, name in (("estimate", "mean"), ("low", "low"), ("high", "high")):
        _known(family, [*labels, bound], found[name])


def _known(family: GaugeMetricFamily, labels: list[str], value: float | None) -> None:
    """Add a sample, unless there is no figure: unknown is shown as absent, never as 0."""
    if value is not None:
        family.add_metric(labels, value)
