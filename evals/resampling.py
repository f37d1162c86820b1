"""Intervals of figures that are no mean of rows, such as macro F1: the percentile bootstrap.

It refuses to know the figures.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from evals.intervals import Estimate

RESAMPLES = 1_000
"""Resamples; the ends of a 95 % interval have 25 beyond them."""

Places = NDArray[np.int64]
"""Rows of a resample, shape (n,)."""


def estimate(
    figure: Callable[[Places], float],
    n: int,
    *,
    alpha: float,
    seed: int,
    groups: Sequence[str] | None = None,
) -> Estimate:
    """Return a figure with its percentile interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13; whole
    clusters are drawn: Davison and Hinkley, Bootstrap Methods and their Application (1997), 3.8.

    Args:
        figure: The figure of some rows, given by their places, with repetitions.
        n: Rows.
        alpha: One minus the level.
        seed: Of the resamples.
        groups: The cluster of each row; none where every row stands for itself.
    """
    if not n:
        return Estimate(mean=None, low=None, high=None, n=0, method="no rows")
    centre = figure(np.arange(n))
    if n == 1:
        return Estimate(mean=centre, low=None, high=None, n=1, method="one row")
    parts = None if groups is None else _parts(groups)
    if parts is not None and len(parts) == 1:
        return Estimate(mean=centre, low=None, high=None, n=n, method="one cluster", clusters=1)
    rng = np.random.default_rng(seed)
    drawn = [figure(_drawn(rng, n, parts)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2])
    return Estimate(
        mean=centre,
        low=float(low),
        high=float(high),
        n=n,
        method="percentile bootstrap" if parts is None else "percentile bootstrap of clusters",
        clusters=None if parts is None else len(parts),
    )


def _parts(groups: Sequence[str]) -> list[Places]:
    """Return the places of each cluster."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(groups):
        found.setdefault(name, []).append(place)
    return [np.array(places) for places in found.values()]


def _drawn(rng: np.random.Generator, n: int, parts: list[Places] | None) -> Places:
    if parts is None:
        return rng.integers(0, n, n)
    return np.concatenate([parts[place] for place in rng.integers(0, len(parts), len(parts))])
