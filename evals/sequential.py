"""Inference that stays valid however often and whenever one looks.

It refuses to know experiments, arms and requests: counts and means come in, bounds go out.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import betaln, chdtrc, gammaln
from scipy.stats import norm

from registry.records import Record

MISMATCH_ALARM = 0.001
"""p-value of a sample-ratio mismatch below which the split is not what it should be."""
_EDGE = 1e-12

Values = npt.NDArray[np.float64]
"""One figure for each unit."""


class Bounds(Record, frozen=True, kw_only=True):
    """An interval that holds at every look."""

    low: float
    """Lower bound."""
    high: float
    """Upper bound."""


class Mismatch(Record, frozen=True, kw_only=True):
    """Whether units were split as planned."""

    sequential_p: float
    """p-value that may be looked at all the time."""
    fixed_p: float
    """p-value of the χ² test, valid for one look only."""
    is_alarm: bool
    """Whether the sequential one is below `MISMATCH_ALARM`."""


def asymptotic_half_width(standard_error: float, n: float, alpha: float, planned: float) -> float:
    """Return the half-width of the asymptotic confidence sequence of a mean or difference.

    With r = rho² it is
    error · √N · √(2(Nr + 1) / (N²r) · ln(√(Nr + 1) / alpha)).
    Source: Waudby-Smith et al., arXiv 2103.06476,
    theorem 2.2, with rho² of its appendix B.2, which makes it narrowest at `planned`.

    Args:
        standard_error: Of the mean or the difference, now.
        n: Units so far; of all arms for a difference.
        alpha: 1 minus the coverage over all looks together.
        planned: Units at which it should be narrowest.
    """
    rho2 = mixture_variance(alpha, planned)
    inside = 2 * (n * rho2 + 1) / (n * n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha)
    return standard_error * math.sqrt(n) * math.sqrt(inside)


def mixture_variance(alpha: float, planned: float) -> float:
    """Return rho² = (-2 ln alpha + ln(1 - 2 ln alpha)) / N, narrowest at N = `planned`."""
    return (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / planned


def normal_mixture_rho(best_at: float, alpha: float) -> float:
    """Return the rho that makes the two-sided normal mixture narrowest at a variance.

    Source: Howard, Ramdas, McAuliffe and Sekhon, Annals of Statistics 49 (2021) 1055,
    doi:10.1214/20-AOS1991, proposition 3 (the usual approximation of Lambert's W).

    Args:
        best_at: Intrinsic variance, such as n · σ².
        alpha: 1 minus the coverage over all looks together.
    """
    return best_at / (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha)))


def normal_mixture_bound(variance: float, rho: float, alpha: float) -> float:
    """Return the boundary of |S| for a sub-Gaussian sum S: equation 14 of the same paper.

    Args:
        variance: Intrinsic variance now.
        rho: From `normal_mixture_rho`.
        alpha: 1 minus the coverage over all looks together.
    """
    inside = (variance + rho) * math.log((variance + rho) / (rho * alpha * alpha))
    return math.sqrt(inside)


def bernoulli_bounds(hits: int, n: int, alpha: float, best_at: float) -> Bounds:
    """Return the confidence sequence of a share: the two-sided beta-binomial mixture, inverted.

    For each share p the mixture is the ratio of a beta-binomial likelihood to p's; p stays in the
    interval while the ratio is below 1 / alpha. Source: the same paper, proposition 7.

    Args:
        hits: Successes.
        n: Trials.
        alpha: 1 minus the coverage over all looks together.
        best_at: Trials at which it should be narrowest.
    """
    if not n:
        return Bounds(low=0.0, high=1.0)

    def excess(share: float) -> float:
        return _bernoulli_mixture(hits, n, share, alpha, best_at) + math.log(alpha)

    seen = min(max(hits / n, _EDGE), 1 - _EDGE)
    low = _crossing(excess, _EDGE, seen)
    high = _crossing(excess, 1 - _EDGE, seen)
    return Bounds(low=0.0 if low is None else low, high=1.0 if high is None else high)


def _bernoulli_mixture(hits: int, n: int, share: float, alpha: float, best_at: float) -> float:
    """Return the logarithm of the mixture martingale against `share`."""
    spread = share * (1 - share)
    weight = max(normal_mixture_rho(best_at * spread, alpha) - spread, 1e-3 * spread)
    first, second = weight / (1 - share), weight / share
    ratio = betaln(first + hits, second + n - hits) - betaln(first, second)
    return float(ratio - hits * math.log(share) - (n - hits) * math.log1p(-share))


def _crossing(excess: Callable[[float], float], edge: float, seen: float) -> float | None:
    """Return where the excess changes its sign between an edge and the share seen, if it does."""
    if excess(seen) >= 0 or excess(edge) <= 0:
        return None
    return float(brentq(excess, edge, seen, xtol=1e-12))


def sample_ratio(
    counts: Sequence[int], planned: Sequence[float], concentration: float = 10_000.0
) -> Mismatch:
    """Test whether units were split as planned, at any time.

    The sequential p-value is 1 over the Bayes factor of a Dirichlet prior around the plan. Source:
    Lindon and Malek, Anytime-valid inference for multinomial count data, NeurIPS 35 (2022), arXiv
    2011.03567.

    Args:
        counts: Units of each arm.
        planned: Planned shares, in the same order; they need not add up to 1.
        concentration: Weight of the prior; larger ones see smaller mismatches, and see them later.
    """
    total = sum(counts)
    if not total:
        return Mismatch(sequential_p=1.0, fixed_p=1.0, is_alarm=False)
    shares = np.asarray(planned, dtype=np.float64) / sum(planned)
    seen = np.asarray(counts, dtype=np.float64)
    expected, prior = total * shares, concentration * shares
    factor = float(
        (gammaln(prior + seen) - gammaln(prior)).sum()
        - gammaln(concentration + total)
        + gammaln(concentration)
        - (seen * np.log(shares)).sum()
    )
    sequential = min(1.0, math.exp(min(-factor, 0.0)))
    return Mismatch(
        sequential_p=sequential,
        fixed_p=float(chdtrc(len(counts) - 1, ((seen - expected) ** 2 / expected).sum())),
        is_alarm=sequential < MISMATCH_ALARM,
    )


def variance_reduced(outcomes: Values, before: Values) -> Values:
    """Return outcomes with what was known before taken out: y - θ(x - mean x), θ = cov / var x.

    Their mean is the same, their variance smaller by the squared correlation. Source: Deng, Xu,
    Kohavi and Walker, WSDM 2013, doi:10.1145/2433396.2433413.

    Args:
        outcomes: One for each unit, of all arms together.
        before: The same units' figure from before the experiment.
    """
    spread = float(np.var(before, ddof=1)) if before.size > 1 else 0.0
    if spread == 0:
        return outcomes
    theta = float(np.cov(outcomes, before)[0, 1]) / spread
    return np.asarray(outcomes - theta * (before - before.mean()))


def peeking_rate(looks: int, *, alpha: float, runs: int, seed: int) -> float:
    """Return how often a plain z-test, looked at so many times, finds what is not there.

    Args:
        looks: Equally spaced looks at data without any effect; one alarm is enough.
        alpha: The level of each look.
        runs: Simulated experiments.
        seed: Seed of the simulation.
    """
    steps = np.random.default_rng(seed).standard_normal((runs, looks))
    scores = np.cumsum(steps, axis=1) / np.sqrt(np.arange(1, looks + 1))
    return float((np.abs(scores) > norm.isf(alpha / 2)).any(axis=1).mean())
