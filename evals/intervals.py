"""Estimates with their intervals, and tests, for rows that two systems both answered.

It refuses to know arms, metrics and verdicts. Libraries do what they can; ours is Tango's interval.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.stats import bootstrap, norm, permutation_test
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from registry.records import Record

RESAMPLES = 10_000
"""Resamples of a bootstrap, and of a permutation test that cannot be exact."""
POWER = 0.8
"""Probability with which a planned number of rows shows the effect."""
_BATCH = 1_000
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
        return _nothing()
    low, high = proportion_confint(hits, n, alpha=alpha, method="wilson")
    return Estimate(mean=hits / n, low=float(low), high=float(high), n=n, method="Wilson")


def mean(values: Sequence[float], alpha: float, seed: int) -> Estimate:
    """Estimate a mean, with the BCa bootstrap interval.

    Where all values are equal, but for rounding, BCa is undefined, and the interval is the value;
    one value alone has none. Source: Efron, JASA 82 (1987) 171, doi:10.1080/01621459.1987.10478410.
    """
    data = np.asarray(values, dtype=np.float64)
    if not data.size:
        return _nothing()
    centre = float(data.mean())
    if data.size == 1:
        return Estimate(mean=centre, low=None, high=None, n=1, method="one row")
    if np.ptp(data) <= _ROUNDING * max(1.0, abs(centre)):
        return Estimate(mean=centre, low=centre, high=centre, n=data.size, method="all rows equal")
    found = bootstrap(
        (data,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=1 - alpha,
        method="BCa",
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    low, high = float(found.low), float(found.high)
    return Estimate(mean=centre, low=low, high=high, n=data.size, method="BCa bootstrap")


def paired_proportions(pairs: Pairs, alpha: float) -> Estimate:
    """Estimate share(first) - share(second), with Tango's score interval.

    It keeps its level with few discordant rows and at shares of 0 and 1, where Wald's and the
    bootstrap collapse to a point. Source: Tango, Statistics in Medicine 17 (1998) 891,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B.
    """
    if not pairs.n:
        return _nothing()
    centre = (pairs.first - pairs.second) / pairs.n
    z = float(norm.ppf(1 - alpha / 2))
    low = -1.0 if centre <= -1 else _root(pairs, z, -1.0, centre - _NUDGE)
    high = 1.0 if centre >= 1 else _root(pairs, -z, centre + _NUDGE, 1.0)
    return Estimate(mean=centre, low=low, high=high, n=pairs.n, method="Tango score")


def _root(pairs: Pairs, z: float, start: float, end: float) -> float:
    """Return the difference at which the score statistic, which falls with it, equals z."""

    def distance(difference: float) -> float:
        return _score_numerator(pairs, difference) - z * _score_deviation(pairs, difference)

    return float(brentq(distance, start, end, xtol=1e-12))


def _score_numerator(pairs: Pairs, difference: float) -> float:
    return pairs.first - pairs.second - pairs.n * difference


def _score_deviation(pairs: Pairs, difference: float) -> float:
    """Return the standard deviation of the numerator when `difference` is true (Tango, eq. 10)."""
    n, spread = pairs.n, difference * (1 - difference)
    b = (2 * n - pairs.first + pairs.second) * difference - pairs.first - pairs.second
    root = math.sqrt(max(b * b + 8 * n * pairs.second * spread, 0.0))
    only_second = (root - b) / (4 * n)
    return math.sqrt(max(n * (2 * only_second + spread), 0.0))


def mcnemar_p(pairs: Pairs) -> float:
    """Return the exact two-sided p-value of equal shares.

    Source: McNemar, Psychometrika 12 (1947) 153, doi:10.1007/BF02295996, by the binomial.
    """
    table = [[pairs.both, pairs.first], [pairs.second, pairs.neither]]
    return float(mcnemar(table, exact=True).pvalue)


def sign_flip_p(differences: Sequence[float], seed: int) -> float:
    """Return the two-sided p-value of the paired permutation test on the mean difference.

    Exact up to 13 rows, else from `RESAMPLES` random sign flips. Source: Phipson and Smyth,
    Stat. Appl. Genet. Mol. Biol. 9 (2010) 39, doi:10.2202/1544-6115.1585: it is never 0.
    """
    found = permutation_test(
        (np.asarray(differences, dtype=np.float64),),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        batch=_BATCH,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float], alpha: float) -> list[float]:
    """Return p-values adjusted for the family (Holm, Scand. J. Stat. 6 (1979) 65)."""
    if not p_values:
        return []
    return [float(value) for value in multipletests(p_values, alpha=alpha, method="holm")[1]]


def rows_needed(variance: float, effect: float, alpha: float) -> int | None:
    """Return the rows that show a paired difference of `effect` with power `POWER`.

    n = (z_half_alpha + z_power)² · ω² / δ², with ω² the variance of the differences
    and δ the effect. Source: Miller, arXiv 2411.00640, section 5, with one answer a row.

    Returns:
        The rows in all, or none when effect or variance is 0.
    """
    if effect == 0 or variance <= 0:
        return None
    z = float(norm.ppf(1 - alpha / 2) + norm.ppf(POWER))
    return math.ceil(z * z * variance / (effect * effect))


def _nothing() -> Estimate:
    return Estimate(mean=None, low=None, high=None, n=0, method="no rows")
