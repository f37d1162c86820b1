"""Estimates with their intervals, and tests, for rows that two systems both answered.

It refuses to know arms, metrics, clusters and verdicts. Libraries do what they can; ours are
Tango's interval and the bootstrap of many columns at a time.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.stats import false_discovery_control, norm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from evals import bootstrap
from evals.bootstrap import Bounds
from registry.records import Record

_ROUNDING = 1e-12
_NUDGE = 1e-9  # with no discordant row the estimate itself is a root, and not the one wanted


class Estimate(Record, frozen=True, kw_only=True):
    """A figure with its interval; bounds are none when there are too few data for any."""

    mean: float | None
    """The point estimate; none without data."""
    low: float | None
    """Lower bound."""
    high: float | None
    """Upper bound."""
    n: int
    """Rows behind it."""
    method: str
    """How the interval was made."""
    clusters: int | None = None
    """Clusters of rows behind it; none where every row stands for itself."""


class Pairs(Record, frozen=True, kw_only=True):
    """Rows that two systems both answered, right (1) or wrong (0)."""

    both: int
    """Both right."""
    first: int
    """Only the first right."""
    second: int
    """Only the second right."""
    neither: int
    """Both wrong."""

    @property
    def n(self) -> int:
        """Rows."""
        return self.both + self.first + self.second + self.neither


def proportion(hits: int, n: int, alpha: float) -> Estimate:
    """Estimate a share, with Wilson's score interval.

    Source: Wilson, JASA 22 (1927) 209, doi:10.1080/01621459.1927.10502953.
    """
    if not n:
        return nothing()
    found = wilson_bounds(hits, n, alpha)
    return Estimate(mean=hits / n, low=found.low, high=found.high, n=n, method="Wilson")


def wilson_bounds(hits: float, n: float, alpha: float) -> Bounds:
    """Return Wilson's bounds; hits and n need not be whole, as with an effective sample size."""
    low, high = proportion_confint(hits, n, alpha=alpha, method="wilson")
    return Bounds(low=max(float(low), 0.0), high=min(float(high), 1.0))


def mean(values: Sequence[float], alpha: float, seed: int) -> Estimate:
    """Estimate one mean, as `means` does."""
    return means([values], alpha, seed)[0]


def means(columns: Sequence[Sequence[float]], alpha: float, seed: int) -> list[Estimate]:
    """Estimate the mean of each column, with the BCa bootstrap interval.

    Where all values are equal, but for rounding, BCa is undefined, and the interval is the value;
    one value alone has none.
    """
    found = [nothing()] * len(columns)
    for places, values in bootstrap.matrices(columns):
        if values.shape[0] > 1:
            intervals = bootstrap.bca(values, alpha, seed)
            for place, column, bounds in zip(places, values.T, intervals, strict=True):
                found[place] = _bootstrapped(column, bounds)
        elif values.shape[0]:
            for place, value in zip(places, values[0], strict=True):
                found[place] = Estimate(
                    mean=float(value), low=None, high=None, n=1, method="one row"
                )
    return found


def _bootstrapped(column: npt.NDArray[np.float64], bounds: Bounds) -> Estimate:
    centre = float(column.mean())
    is_flat = np.ptp(column) <= _ROUNDING * max(1.0, abs(centre))
    return Estimate(
        mean=centre,
        low=centre if is_flat else bounds.low,
        high=centre if is_flat else bounds.high,
        n=column.size,
        method="all rows equal" if is_flat else "BCa bootstrap",
    )


def paired_proportions(pairs: Pairs, alpha: float) -> Estimate:
    """Estimate share(first) - share(second), with Tango's score interval.

    It keeps its level with few discordant rows and at shares of 0 and 1, where Wald's and the
    bootstrap collapse to a point. Source: Tango, Statistics in Medicine 17 (1998) 891,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
    """
    if not pairs.n:
        return nothing()
    found = tango_bounds(pairs.first, pairs.second, pairs.n, alpha)
    centre = (pairs.first - pairs.second) / pairs.n
    return Estimate(mean=centre, low=found.low, high=found.high, n=pairs.n, method="Tango score")


def tango_bounds(first: float, second: float, n: float, alpha: float) -> Bounds:
    """Return Tango's bounds; counts need not be whole, as with an effective sample size.

    Args:
        first: Rows that only the first system has right.
        second: Rows that only the second one has right.
        n: All rows.
        alpha: 1 minus the nominal coverage.
    """
    centre = (first - second) / n
    z = float(norm.isf(alpha / 2))

    def root(quantile: float, start: float, end: float) -> float:
        """Return the difference at which the score statistic, which falls with it, equals z."""

        def distance(difference: float) -> float:
            numerator = first - second - n * difference
            return numerator - quantile * _score_deviation(first, second, n, difference)

        return float(brentq(distance, start, end, xtol=1e-12))

    return Bounds(
        low=-1.0 if centre <= -1 else root(z, -1.0, centre - _NUDGE),
        high=1.0 if centre >= 1 else root(-z, centre + _NUDGE, 1.0),
    )


def _score_deviation(first: float, second: float, n: float, difference: float) -> float:
    """Return the standard deviation of the numerator when `difference` is true (Tango, eq. 10)."""
    spread = difference * (1 - difference)
    b = (2 * n - first + second) * difference - first - second
    root = math.sqrt(max(b * b + 8 * n * second * spread, 0.0))
    only_second = (root - b) / (4 * n)
    return math.sqrt(max(n * (2 * only_second + spread), 0.0))


def independent_difference(first: Estimate, second: Estimate) -> Estimate:
    """Estimate first - second of two independent estimates from their own intervals.

    Two Wilson intervals give Newcombe's. Source: the method of variance estimates recovery, Zou and
    Donner, Statistics in Medicine 27 (2008) 1693, doi:10.1002/sim.3095.
    """
    n = first.n + second.n
    if first.mean is None or second.mean is None:
        return Estimate(mean=None, low=None, high=None, n=n, method="no rows on one side")
    centre = first.mean - second.mean
    bounds = (first.low, first.high, second.low, second.high)
    known = [bound for bound in bounds if bound is not None]
    if len(known) < len(bounds):
        return Estimate(mean=centre, low=None, high=None, n=n, method="one row on one side")
    first_low, first_high, second_low, second_high = known
    down = math.hypot(first.mean - first_low, second_high - second.mean)
    up = math.hypot(first_high - first.mean, second.mean - second_low)
    method = f"MOVER of {first.method} and {second.method}"
    return Estimate(mean=centre, low=centre - down, high=centre + up, n=n, method=method)


def mcnemar_p(pairs: Pairs) -> float:
    """Return the exact two-sided p-value of equal shares.

    Source: McNemar, Psychometrika 12 (1947) 153, doi:10.1007/BF02295996, by the binomial.
    """
    table = [[pairs.both, pairs.first], [pairs.second, pairs.neither]]
    return float(mcnemar(table, exact=True).pvalue)


def sign_flip_p(differences: Sequence[float], seed: int) -> float:
    """Return the two-sided p-value of the paired permutation test on the mean difference."""
    return bootstrap.sign_flip_ps(np.array([differences], dtype=np.float64).T, seed)[0]


def sign_flip_ps(columns: Sequence[Sequence[float]], seed: int) -> list[float | None]:
    """Return the p-value of each column, as `sign_flip_p` does; none for one without a row."""
    found: list[float | None] = [None] * len(columns)
    for places, values in bootstrap.matrices(columns):
        if values.shape[0]:
            for place, value in zip(places, bootstrap.sign_flip_ps(values, seed), strict=True):
                found[place] = value
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the family (Holm, Scand. J. Stat. 6 (1979) 65).

    Ours, because statsmodels' collects all garbage of the process at each call: 0.15 s here.
    """
    count, largest = len(p_values), 0.0
    adjusted = [0.0] * count
    for rank, place in enumerate(sorted(range(count), key=lambda place: p_values[place])):
        largest = max(largest, min((count - rank) * p_values[place], 1.0))
        adjusted[place] = largest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for the share of false findings among many.

    Source: Benjamini and Hochberg, J. R. Stat. Soc. B 57 (1995) 289,
    doi:10.1111/j.2517-6161.1995.tb02031.x.
    """
    if not p_values:
        return []
    return [float(value) for value in false_discovery_control(p_values)]


def nothing() -> Estimate:
    """Return the estimate of what no row tells."""
    return Estimate(mean=None, low=None, high=None, n=0, method="no rows")
