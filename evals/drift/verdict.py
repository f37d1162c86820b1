"""What is concluded of a feature's figures: pure.

It refuses to know where they come from. The thresholds are those in common use for PSI; the others
are the same amount of drift on their own scales (see decision 013).
"""

from collections.abc import Sequence

import msgspec

from evals.drift.divergence import ALPHA, PSI_PER_BIT
from evals.intervals import holm
from registry.records import (
    DriftFigure,
    DriftState,
    DriftStatistic,
    FeatureDrift,
    FeatureKind,
    Record,
)

SMALL_ROWS = 1_000
"""Fewer rows than this on either side are a small sample: a figure over its threshold is then noise
unless the test beside it (Kolmogorov–Smirnov, χ²) has a p-value under 0.05, adjusted by Holm over
the features that were compared at once. From there on noise does not reach the thresholds, and the
p-value of a difference too small to matter would be under 0.05 too."""


class Thresholds(Record, frozen=True, kw_only=True):
    """From where on a statistic is to be watched, and to be acted upon."""

    watch: float
    """From here on: watch."""
    act: float
    """From here on: act."""


PSI_THRESHOLDS = Thresholds(watch=0.1, act=0.2)
THRESHOLDS = {
    DriftStatistic.PSI: PSI_THRESHOLDS,
    DriftStatistic.JENSEN_SHANNON: Thresholds(
        watch=PSI_THRESHOLDS.watch / PSI_PER_BIT, act=PSI_THRESHOLDS.act / PSI_PER_BIT
    ),
    DriftStatistic.CLASSIFIER_AUC: Thresholds(watch=0.588, act=0.624),
}
"""PSI; Jensen–Shannon at the same χ² distance; the AUC Φ(√(PSI / 2)) that tells two normal
distributions of that PSI apart."""
DECIDING = {
    FeatureKind.NUMBER: DriftStatistic.PSI,
    FeatureKind.CATEGORY: DriftStatistic.JENSEN_SHANNON,
    FeatureKind.TEXT: DriftStatistic.CLASSIFIER_AUC,
}
"""The statistic that is held to its thresholds, by kind of feature."""
_TESTS = {
    FeatureKind.NUMBER: DriftStatistic.KOLMOGOROV_SMIRNOV,
    FeatureKind.CATEGORY: DriftStatistic.CHI_SQUARED,
}
_WORST = (DriftState.ACT, DriftState.WATCH, DriftState.STEADY)
_CHANCE = 0.5


def concluded(features: Sequence[FeatureDrift]) -> list[FeatureDrift]:
    """Return features that were compared at once with their states and reasons.

    A feature without figures stays as it is.
    """
    tested = [place for place, each in enumerate(features) if _test_of(each) is not None]
    adjusted = holm([_p_value(features[place]) for place in tested])
    p_values = dict(zip(tested, adjusted, strict=True))
    return [_conclude(each, p_values.get(place)) for place, each in enumerate(features)]


def worst(features: Sequence[FeatureDrift]) -> DriftState:
    """Return the worst state of any feature; too few where no feature has a figure."""
    states = {each.state for each in features}
    return next((state for state in _WORST if state in states), DriftState.TOO_FEW)


def _conclude(feature: FeatureDrift, p_value: float | None) -> FeatureDrift:
    figure = _figure(feature, DECIDING[feature.kind])
    if figure is None:
        return feature
    limits = THRESHOLDS[figure.statistic]
    told = f"{figure.statistic} {figure.value:.3g}"
    if figure.value < limits.watch:
        return _with(feature, DriftState.STEADY, f"{told} is under {limits.watch:.3g}.")
    doubt = _doubt(feature, figure, p_value)
    if doubt:
        return _with(feature, DriftState.STEADY, f"{told} may be chance: {doubt}.")
    if figure.value < limits.act:
        return _with(feature, DriftState.WATCH, f"{told} is {limits.watch:.3g} or more.")
    return _with(feature, DriftState.ACT, f"{told} is {limits.act:.3g} or more.")


def _doubt(feature: FeatureDrift, figure: DriftFigure, p_value: float | None) -> str:
    """Return why a figure over its threshold may be chance; nothing if it is none."""
    if figure.low is not None and feature.kind is FeatureKind.TEXT and figure.low <= _CHANCE:
        return f"its interval reaches down to {figure.low:.3g}"
    fewer = min(feature.reference_rows, feature.window_rows)
    if p_value is None or fewer >= SMALL_ROWS or p_value < ALPHA:
        return ""
    return f"with {fewer} rows on a side the adjusted p-value is {p_value:.2g}"


def _test_of(feature: FeatureDrift) -> DriftFigure | None:
    statistic = _TESTS.get(feature.kind)
    return None if statistic is None else _figure(feature, statistic)


def _p_value(feature: FeatureDrift) -> float:
    test = _test_of(feature)
    return 1.0 if test is None or test.p_value is None else test.p_value


def _figure(feature: FeatureDrift, statistic: DriftStatistic) -> DriftFigure | None:
    return next((each for each in feature.figures if each.statistic is statistic), None)


def _with(feature: FeatureDrift, state: DriftState, reason: str) -> FeatureDrift:
    return msgspec.structs.replace(feature, state=state, reason=reason)
