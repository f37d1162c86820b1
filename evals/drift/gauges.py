"""Stored drift reports as Prometheus' gauges.

It refuses to compute. Labels hold names of Graftline's own records and of the features in
`evals/drift/features.py`; a report that is shown no longer has no series any more.
"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from registry.records import DriftFigure, DriftReport, DriftState, FeatureDrift

_TARGET = ("project", "deployment", "arm", "model")


class DriftGauges(Collector):
    """Gauges made from stored reports at each scrape."""

    def __init__(self) -> None:
        self.reports: tuple[DriftReport, ...] = ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family, also those without a sample."""
        families = _Families()
        for report in self.reports:
            families.add(report)
        yield from (families.statistic, families.rows, families.state, families.computed)


class _Families:
    def __init__(self) -> None:
        self.statistic = GaugeMetricFamily(
            "graftline_drift_statistic",
            "How far a feature's latest rows are from its first; bound is estimate, low or high.",
            labels=[*_TARGET, "feature", "statistic", "bound"],
        )
        self.rows = GaugeMetricFamily(
            "graftline_drift_rows",
            "Rows with a value behind a feature's figures; side is reference or window.",
            labels=[*_TARGET, "feature", "side"],
        )
        self.state = GaugeMetricFamily(
            "graftline_drift_state",
            "1 for the state that holds: too_few, steady, watch or act.",
            labels=[*_TARGET, "feature", "state"],
        )
        self.computed = GaugeMetricFamily(
            "graftline_drift_computed_timestamp_seconds",
            "When a version's drift was last computed.",
            labels=list(_TARGET),
        )

    def add(self, report: DriftReport) -> None:
        target = [report.project, report.deployment, report.arm, report.model]
        self.computed.add_metric(target, report.computed_at)
        for feature in report.features:
            self._add_feature([*target, feature.feature], feature)

    def _add_feature(self, labels: list[str], feature: FeatureDrift) -> None:
        self.rows.add_metric([*labels, "reference"], feature.reference_rows)
        self.rows.add_metric([*labels, "window"], feature.window_rows)
        for state in DriftState:
            self.state.add_metric([*labels, state], float(feature.state is state))
        for figure in feature.figures:
            self._add_figure([*labels, figure.statistic], figure)

    def _add_figure(self, labels: list[str], figure: DriftFigure) -> None:
        bounds = {"estimate": figure.value, "low": figure.low, "high": figure.high}
        for bound, value in bounds.items():
            if value is not None:  # unknown is absent, never 0
                self.statistic.add_metric([*labels, bound], value)
