"""Estimates and tests for rows that come in clusters, such as the turns of one conversation.

It refuses to know which rows belong together. Rows of a cluster are alike, so they tell less than
as many rows that each stand for themselves.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, t

from evals import intervals
from evals.intervals import Estimate, Pairs
from registry.records import Record

_ROUNDING = 1e-12


class Precision(Record, frozen=True, kw_only=True):
    """What clustered rows are worth."""

    standard_error: float
    """Of the mean: √(Σ over clusters of (Σ of its deviations)²) / n."""
    clusters: int
    """Clusters."""
    design_effect: float
    """Variance of the mean over what it would be if every row stood for itself; at least 1."""
    effective_rows: float
    """Rows that would tell as much, if each stood for itself."""


def precision(values: Sequence[float], clusters: Sequence[str]) -> Precision:
    """Return the precision of the mean of clustered values.

    The standard error is the cluster-robust one without a small-sample correction, as in Miller,
    arXiv 2411.00640, section 2.2. Values without any spread tell as much as one row of each
    cluster.

    Args:
        values: At least one.
        clusters: The cluster of each value.
    """
    data = np.asarray(values, dtype=np.float64)
    deviations = data - data.mean()
    sums = _sums(deviations, clusters)
    groups, rows = sums.size, data.size
    error = float(np.sqrt((sums**2).sum()) / rows)
    spread = float((deviations**2).sum())
    if groups < 2 or spread <= _ROUNDING * max(float((data**2).sum()), _ROUNDING):
        effect = rows / groups
    else:
        effect = max(error * error / (spread / rows**2), 1.0)
    return Precision(
        standard_error=error,
        clusters=groups,
        design_effect=effect,
        effective_rows=rows / effect,
    )


def mean(values: Sequence[float], clusters: Sequence[str], alpha: float) -> Estimate:
    """Estimate a mean: ± t with G - 1 degrees of freedom times the clustered standard error.

    The standard error is widened by √(G / (G - 1)). Source: Cameron and Miller, J. Human Resources
    50 (2015) 317, doi:10.3368/jhr.50.2.317, section VI.
    """
    if not values:
        return intervals.nothing()
    found = precision(values, clusters)
    centre = float(np.mean(values))
    if found.clusters < 2:
        return _one_cluster(centre, len(values))
    factor = float(t.isf(alpha / 2, found.clusters - 1))
    half = factor * found.standard_error * (found.clusters / (found.clusters - 1)) ** 0.5
    return Estimate(
        mean=centre,
        low=centre - half,
        high=centre + half,
        n=len(values),
        method="clustered t",
        clusters=found.clusters,
    )


def proportion(hits: Sequence[float], clusters: Sequence[str], alpha: float) -> Estimate:
    """Estimate a share, with Wilson's interval at the effective number of rows.

    Source: Dean and Pagano, J. Survey Statistics and Methodology 3 (2015) 484,
    doi:10.1093/jssam/smv024, with the quantile of t for the few clusters.

    Args:
        hits: 0 or 1 for each row.
        clusters: The cluster of each row.
        alpha: 1 minus the nominal coverage.
    """
    if not hits:
        return intervals.nothing()
    found = precision(hits, clusters)
    share = float(np.mean(hits))
    if found.clusters < 2:
        return _one_cluster(share, len(hits))
    level = _widened(alpha, found.clusters)
    rows = found.effective_rows
    bounds = intervals.wilson_bounds(share * rows, rows, level)
    return Estimate(
        mean=share,
        low=bounds.low,
        high=bounds.high,
        n=len(hits),
        method="Wilson at the effective number of rows",
        clusters=found.clusters,
    )


def paired_proportions(
    pairs: Pairs, differences: Sequence[float], clusters: Sequence[str], alpha: float
) -> Estimate:
    """Estimate share(first) - share(second), with Tango's interval at the effective rows.

    Args:
        pairs: The rows counted.
        differences: Each row's difference, -1, 0 or 1.
        clusters: The cluster of each row.
        alpha: 1 minus the nominal coverage.
    """
    if not pairs.n:
        return intervals.nothing()
    found = precision(differences, clusters)
    centre = (pairs.first - pairs.second) / pairs.n
    if found.clusters < 2:
        return _one_cluster(centre, pairs.n)
    shrunk = found.effective_rows / pairs.n
    bounds = intervals.tango_bounds(
        pairs.first * shrunk,
        pairs.second * shrunk,
        found.effective_rows,
        _widened(alpha, found.clusters),
    )
    return Estimate(
        mean=centre,
        low=bounds.low,
        high=bounds.high,
        n=pairs.n,
        method="Tango score at the effective number of rows",
        clusters=found.clusters,
    )


def sign_flip_p(differences: Sequence[float], clusters: Sequence[str], seed: int) -> float:
    """Return the two-sided p-value of a mean difference of 0, flipping whole clusters.

    Under the null hypothesis a cluster's differences may all change their sign together, whatever
    the dependence inside it.
    """
    sums = _sums(np.asarray(differences, dtype=np.float64), clusters)
    return intervals.sign_flip_p([float(value) for value in sums], seed)


def _sums(values: npt.NDArray[np.float64], clusters: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the sum of each cluster's values, clusters in the order of their first rows."""
    places = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    codes = np.array([places[name] for name in clusters])
    return np.bincount(codes, weights=values, minlength=len(places)).astype(np.float64)


def _widened(alpha: float, clusters: int) -> float:
    """Return the level at which the normal quantile is that of t with G - 1 degrees of freedom."""
    return float(2 * norm.sf(t.isf(alpha / 2, clusters - 1)))


def _one_cluster(centre: float, rows: int) -> Estimate:
    return Estimate(mean=centre, low=None, high=None, n=rows, method="one cluster", clusters=1)
