"""Metrics of the user's own, by entry point.

It refuses to know what they measure. One that fails leaves its rows unscored and is named once in
the log; it never stops an evaluation.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from typing import Any

from evals.metric_table import TEXT_METRICS, TextMetric
from evals.unneeded import GROUP

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class OwnMetric(TextMetric):
    """An `evaluate.Metric` whose `compute` returns one score a row under `scores`."""

    make: Callable[[], Any]
    """Makes an instance; one for each batch, since an instance is not thread-safe."""

    def batch(
        self, answers: Sequence[str], targets: Sequence[str], options: Sequence[dict[str, Any]]
    ) -> list[float | None]:
        """Return the scores of several rows; none where the metric has none, or fails."""
        del options
        try:
            found = self.make().compute(predictions=list(answers), references=list(targets))
            scores = [None if score is None else float(score) for score in found["scores"]]
        except Exception:  # the user's code may raise anything; only its own metric is lost
            logger.exception("the metric %s failed; its rows are unscored", self.key)
            return [None] * len(answers)
        if len(scores) != len(answers):
            logger.error(
                "the metric %s gave %d scores for %d rows", self.key, len(scores), len(answers)
            )
            return [None] * len(answers)
        return scores


def load_metrics() -> tuple[TextMetric, ...]:
    """Return our own metrics and every one that an installed package names.

    A class may say `higher_is_better`, `binary`, `unit` and `summary`. One that cannot be loaded,
    or that has the name of one of ours, is left out and named in the log.
    """
    taken = {metric.key for metric in TEXT_METRICS}
    found: dict[str, TextMetric] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in taken:
            logger.error("the metric %s of %s has the name of one of ours", point.name, point.value)
            continue
        try:
            found[point.name] = own_metric(point.name, point.load())
        except Exception:  # the user's code may raise anything
            logger.exception("the metric %s cannot be loaded from %s", point.name, point.value)
    return (*TEXT_METRICS, *found.values())


def own_metric(key: str, made_by: Any) -> TextMetric:  # noqa: ANN401 - evaluate ships no types
    """Return a metric of the user's own; `made_by` is a subclass of `evaluate.Metric`."""
    bare = OwnMetric(
        key=key,
        row=lambda _answer, _target: None,
        make=lambda: made_by(keep_in_memory=True),
        comparison=str(getattr(made_by, "summary", "") or f"the user's own metric {key}"),
        unit=str(getattr(made_by, "unit", "score")),
        higher_is_better=bool(getattr(made_by, "higher_is_better", True)),
        binary=bool(getattr(made_by, "binary", False)),
    )
    return replace(bare, row=lambda answer, target: bare.batch([answer], [target], [{}])[0])
