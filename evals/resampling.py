"""Intervals of figures that are no mean of rows, such as macro F1: the percentile bootstrap.

It refuses to know the figures.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evals.intervals import Estimate

RESAMPLES = 1_000
"""Resamples; the ends of a 95 % interval have 25 beyond them."""

Places = NDArray[np.int64]
"""Rows of a resample, shape (n,)."""


def estimate(figure: Callable[[Places], float], n: int, *, alpha: float, seed: int) -> Estimate:
    """Return a figure with its percentile interval.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.

    Args:
        figure: The figure of some rows, given by their places, with repetitions.
        n: Rows.
        alpha: One minus the level.
        seed: Of the resamples.
    """
    if not n:
        return Estimate(mean=None, low=None, high=None, n=0, method="no rows")
    centre = figure(np.arange(n))
    if n == 1:
        return Estimate(mean=centre, low=None, high=None, n=1, method="one row")
    rng = np.random.default_rng(seed)
    drawn = [figure(rng.integers(0, n, n)) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2])
    return Estimate(
        mean=centre, low=float(low), high=float(high), n=n, method="percentile bootstrap"
    )
