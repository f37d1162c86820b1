"""Scores by arm as estimates, and the adapter against each baseline, row by row.

It refuses to know where scores come from and what follows from them.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
import numpy as np

from evals import intervals
from evals.intervals import Estimate, Pairs
from registry.records import Record


class ArmName(StrEnum):
    """Who is examined."""

    BASE = "base"
    """The base model with the bare prompt."""
    FEW_SHOT = "few_shot"
    """The base model with examples from the training rows before the prompt."""
    NEAREST = "few_shot_nearest"
    """The base model with the training rows most similar to each prompt before it."""
    INSTRUCTION = "instruction"
    """The base model with the user's instruction."""
    ADAPTER = "adapter"
    """The adapter with the bare prompt."""
    PRODUCTION = "production"
    """The version now in production with the bare prompt."""


BASELINES = (
    ArmName.BASE,
    ArmName.FEW_SHOT,
    ArmName.NEAREST,
    ArmName.INSTRUCTION,
    ArmName.PRODUCTION,
)
"""What an adapter must beat."""

Scores = Mapping[str, Mapping[str, Mapping[int, float]]]
"""Scores by arm, metric and row number; an unscored row is absent."""


class MetricKind(Record, frozen=True, kw_only=True):
    """What a metric's figures mean."""

    higher_is_better: bool
    """Whether more is better."""
    unit: str
    """`share` or `nats per token`."""
    rows: int
    """Rows of the exam to which it applies."""
    binary: bool
    """Whether a row scores either 0 or 1."""
    comparison: str
    """How a row is scored, in words."""


class Difference(Record, frozen=True, kw_only=True):
    """Adapter minus baseline over the rows that both have a score for."""

    metric: str
    """The metric."""
    baseline: str
    """One of `BASELINES`."""
    estimate: float | None
    """Mean difference; none without a row."""
    low: float | None
    """Lower bound of the two-sided 1 - alpha interval."""
    high: float | None
    """Upper bound."""
    n: int
    """Rows with a score from both."""
    p_value: float | None
    """Two-sided p-value of no difference; none without a row."""
    p_adjusted: float | None
    """The same after Holm's correction over all differences of the evaluation."""
    variance: float | None
    """Variance of the rows' differences, for planning; none below two rows."""
    method: str
    """Interval and test, by name."""


def summarise(
    scores: Scores, kinds: Mapping[str, MetricKind], *, alpha: float, seed: int
) -> dict[str, dict[str, Estimate]]:
    """Return each arm's estimate of each metric."""
    return {
        arm: {
            metric: _estimate(by_metric.get(metric, {}), kind, alpha=alpha, seed=seed)
            for metric, kind in kinds.items()
        }
        for arm, by_metric in scores.items()
    }


def compare(
    scores: Scores, kinds: Mapping[str, MetricKind], *, alpha: float, seed: int
) -> list[Difference]:
    """Return the adapter's difference from each baseline present, by metric, Holm-adjusted."""
    adapter = scores[ArmName.ADAPTER]
    found = [
        _difference(
            metric,
            baseline,
            _paired(adapter.get(metric, {}), scores[baseline].get(metric, {})),
            binary=kind.binary,
            alpha=alpha,
            seed=seed,
        )
        for metric, kind in kinds.items()
        for baseline in BASELINES
        if baseline in scores
    ]
    return _adjusted(found, alpha)


def _estimate(
    by_row: Mapping[int, float], kind: MetricKind, *, alpha: float, seed: int
) -> Estimate:
    values = list(by_row.values())
    if kind.binary:
        return intervals.proportion(round(sum(values)), len(values), alpha)
    return intervals.mean(values, alpha, seed)


def _paired(
    adapter: Mapping[int, float], baseline: Mapping[int, float]
) -> list[tuple[float, float]]:
    return [(adapter[row], baseline[row]) for row in sorted(adapter.keys() & baseline.keys())]


def _difference(
    metric: str,
    baseline: str,
    pairs: list[tuple[float, float]],
    *,
    binary: bool,
    alpha: float,
    seed: int,
) -> Difference:
    gaps = [ours - theirs for ours, theirs in pairs]
    if binary:
        counts = _counts(pairs)
        found, test = intervals.paired_proportions(counts, alpha), "exact McNemar"
        p_value = intervals.mcnemar_p(counts) if gaps else None
    else:
        found, test = intervals.mean(gaps, alpha, seed), "sign-flip permutation"
        p_value = intervals.sign_flip_p(gaps, seed) if gaps else None
    return Difference(
        metric=metric,
        baseline=baseline,
        estimate=found.mean,
        low=found.low,
        high=found.high,
        n=found.n,
        p_value=p_value,
        p_adjusted=p_value,
        variance=float(np.var(gaps, ddof=1)) if len(gaps) > 1 else None,
        method=f"{found.method}; {test}" if gaps else found.method,
    )


def _counts(pairs: list[tuple[float, float]]) -> Pairs:
    kinds = [(ours > 0, theirs > 0) for ours, theirs in pairs]
    return Pairs(
        both=kinds.count((True, True)),
        first=kinds.count((True, False)),
        second=kinds.count((False, True)),
        neither=kinds.count((False, False)),
    )


def _adjusted(differences: list[Difference], alpha: float) -> list[Difference]:
    tested = [d.p_value for d in differences if d.p_value is not None]
    adjusted = iter(intervals.holm(tested, alpha))
    return [
        d if d.p_value is None else msgspec.structs.replace(d, p_adjusted=next(adjusted))
        for d in differences
    ]
