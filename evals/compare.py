"""Scores by arm as estimates, and the adapter against each baseline, row by row.

It refuses to know where scores come from and what follows from them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import StrEnum

import msgspec
import numpy as np

from evals import clustered, intervals
from evals.clusters import groups_of
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
PROMPT_ARMS = ("few_shot", "few_shot_nearest", "instruction")
"""Arms that are the base model with a better prompt."""

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
    """The same after Holm's correction over the gate's tests; none outside of them."""
    variance: float | None
    """Variance of the rows' differences, for planning; none below two rows."""
    method: str
    """Interval and test, by name."""
    clusters: int | None = None
    """Clusters of rows behind it; none where every row stands for itself."""
    design_effect: float = 1.0
    """How many times more rows are needed because rows of one cluster are alike."""


class _Pairing(Record, frozen=True, kw_only=True):
    """The rows that two arms share on one metric."""

    metric: str
    baseline: str
    binary: bool
    pairs: list[tuple[float, float]]
    clusters: list[str] | None

    @property
    def gaps(self) -> list[float]:
        return [ours - theirs for ours, theirs in self.pairs]


def summarise(
    scores: Scores,
    kinds: Mapping[str, MetricKind],
    *,
    alpha: float,
    seed: int,
    clusters: Mapping[int, str] | None = None,
) -> dict[str, dict[str, Estimate]]:
    """Return each arm's estimate of each metric.

    Args:
        scores: By arm, metric and row.
        kinds: The metrics that apply.
        alpha: 1 minus the coverage of the intervals.
        seed: Seed of the bootstrap.
        clusters: The cluster of each row; a row that is absent stands for itself.
    """
    found: dict[str, dict[str, Estimate]] = {arm: {} for arm in scores}
    resampled: list[tuple[str, str, list[float]]] = []
    for arm, by_metric in scores.items():
        for metric, kind in kinds.items():
            by_row = by_metric.get(metric, {})
            values, groups = list(by_row.values()), groups_of(list(by_row), clusters)
            if groups is not None:
                estimate = clustered.proportion if kind.binary else clustered.mean
                found[arm][metric] = estimate(values, groups, alpha)
            elif kind.binary:
                hits = round(sum(values))
                found[arm][metric] = intervals.proportion(hits, len(values), alpha)
            else:
                found[arm][metric] = intervals.nothing()  # keeps the order of the metrics
                resampled.append((arm, metric, values))
    estimates = intervals.means([values for _, _, values in resampled], alpha, seed)
    for (arm, metric, _), mean in zip(resampled, estimates, strict=True):
        found[arm][metric] = mean
    return found


def compare(
    scores: Scores,
    kinds: Mapping[str, MetricKind],
    *,
    alpha: float,
    seed: int,
    clusters: Mapping[int, str] | None = None,
    family: Collection[tuple[str, str]] | None = None,
) -> list[Difference]:
    """Return the adapter's difference from every other arm, by metric, Holm-adjusted.

    Args:
        scores: By arm, metric and row.
        kinds: The metrics that apply.
        alpha: 1 minus the coverage of the intervals.
        seed: Seed of the bootstrap and of random sign flips.
        clusters: The cluster of each row; a row that is absent stands for itself.
        family: Metric and baseline of each of the gate's tests; by default all are in the family.
    """
    found = differences(
        scores, kinds, list(_baselines(scores)), alpha=alpha, seed=seed, clusters=clusters
    )
    return _adjusted(found, family)


def differences(
    scores: Scores,
    kinds: Mapping[str, MetricKind],
    baselines: Sequence[str],
    *,
    alpha: float,
    seed: int,
    clusters: Mapping[int, str] | None = None,
    rows: Collection[int] | None = None,
) -> list[Difference]:
    """Return the adapter's difference from some arms, by metric, without any correction.

    Args:
        scores: By arm, metric and row.
        kinds: The metrics.
        baselines: The arms compared with.
        alpha: 1 minus the coverage of the intervals.
        seed: Seed of the bootstrap and of random sign flips.
        clusters: The cluster of each row.
        rows: The rows that count; by default all.
    """
    adapter = scores[ArmName.ADAPTER]
    pairings = [
        _pairing(
            metric,
            baseline,
            kind,
            adapter.get(metric, {}),
            scores[baseline].get(metric, {}),
            clusters=clusters,
            rows=rows,
        )
        for metric, kind in kinds.items()
        for baseline in baselines
    ]
    resampled = [pairing for pairing in pairings if not pairing.binary and not pairing.clusters]
    columns = [pairing.gaps for pairing in resampled]
    together = dict(
        zip(
            ((pairing.metric, pairing.baseline) for pairing in resampled),
            zip(
                intervals.means(columns, alpha, seed),
                intervals.sign_flip_ps(columns, seed),
                strict=True,
            ),
            strict=True,
        )
    )
    return [
        _difference(pairing, alpha, seed, together.get((pairing.metric, pairing.baseline)))
        for pairing in pairings
    ]


def _baselines(scores: Scores) -> Iterator[str]:
    """Yield the arms that the adapter is compared with: the known ones first, in their order."""
    yield from (arm for arm in BASELINES if arm in scores)
    yield from (arm for arm in scores if arm not in BASELINES and arm != ArmName.ADAPTER)


def _pairing(
    metric: str,
    baseline: str,
    kind: MetricKind,
    adapter: Mapping[int, float],
    theirs: Mapping[int, float],
    *,
    clusters: Mapping[int, str] | None,
    rows: Collection[int] | None,
) -> _Pairing:
    shared = adapter.keys() & theirs.keys()
    chosen = sorted(shared if rows is None else shared & set(rows))
    return _Pairing(
        metric=metric,
        baseline=baseline,
        binary=kind.binary,
        pairs=[(adapter[row], theirs[row]) for row in chosen],
        clusters=groups_of(chosen, clusters),
    )


def _difference(
    pairing: _Pairing,
    alpha: float,
    seed: int,
    resampled: tuple[Estimate, float | None] | None,
) -> Difference:
    gaps, groups = pairing.gaps, pairing.clusters
    if resampled is not None:
        (found, p_value), test = resampled, "sign-flip permutation"
    elif groups is not None:
        found, test = _clustered(pairing, groups, alpha), "sign-flip permutation of clusters"
        p_value = clustered.sign_flip_p(gaps, groups, seed)
    else:
        counts = _counts(pairing.pairs)
        found, test = intervals.paired_proportions(counts, alpha), "exact McNemar"
        p_value = intervals.mcnemar_p(counts) if gaps else None
    effect = 1.0 if groups is None else clustered.precision(gaps, groups).design_effect
    return Difference(
        metric=pairing.metric,
        baseline=pairing.baseline,
        estimate=found.mean,
        low=found.low,
        high=found.high,
        n=found.n,
        p_value=p_value,
        p_adjusted=p_value,
        variance=float(np.var(gaps, ddof=1)) if len(gaps) > 1 else None,
        method=f"{found.method}; {test}" if gaps else found.method,
        clusters=found.clusters,
        design_effect=effect,
    )


def _clustered(pairing: _Pairing, groups: list[str], alpha: float) -> Estimate:
    if pairing.binary:
        counts = _counts(pairing.pairs)
        return clustered.paired_proportions(counts, pairing.gaps, groups, alpha)
    return clustered.mean(pairing.gaps, groups, alpha)


def _counts(pairs: list[tuple[float, float]]) -> Pairs:
    kinds = [(ours > 0, theirs > 0) for ours, theirs in pairs]
    return Pairs(
        both=kinds.count((True, True)),
        first=kinds.count((True, False)),
        second=kinds.count((False, True)),
        neither=kinds.count((False, False)),
    )


def _adjusted(
    differences: list[Difference], family: Collection[tuple[str, str]] | None
) -> list[Difference]:
    tested = [
        place
        for place, each in enumerate(differences)
        if each.p_value is not None and (family is None or (each.metric, each.baseline) in family)
    ]
    adjusted = dict(
        zip(
            tested,
            intervals.holm([differences[place].p_value or 0.0 for place in tested]),
            strict=True,
        )
    )
    return [
        msgspec.structs.replace(each, p_adjusted=adjusted.get(place))
        for place, each in enumerate(differences)
    ]
