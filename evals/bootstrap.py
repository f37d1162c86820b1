"""Means resampled, many columns at a time: BCa intervals and sign-flip tests.

It refuses to know what the columns are. scipy resamples one column after another; here columns of
one length share their resamples, which then are one product of matrices (see decision 004).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from registry.records import Record

RESAMPLES = 10_000
"""Resamples of a bootstrap, and of a permutation test that cannot be exact."""
_CELLS = 1_000_000  # of one block of weights or signs: 8 MB each
_ROUNDING = 1e-12

Matrix = npt.NDArray[np.float64]
"""Values: a row for each row of the exam, a column for each metric and arm."""


class Bounds(Record, frozen=True, kw_only=True):
    """An interval."""

    low: float
    """Lower bound."""
    high: float
    """Upper bound."""


def matrices(columns: Sequence[Sequence[float]]) -> Iterator[tuple[list[int], Matrix]]:
    """Yield the columns of each length as one matrix, with their places."""
    places: dict[int, list[int]] = {}
    for place, column in enumerate(columns):
        places.setdefault(len(column), []).append(place)
    for same in places.values():
        yield same, np.array([columns[place] for place in same], dtype=np.float64).T


def bca(values: Matrix, alpha: float, seed: int, resamples: int = RESAMPLES) -> list[Bounds]:
    """Return the BCa bootstrap interval of each column's mean.

    A column whose values are all equal has the value as its interval: BCa is undefined there.
    Source: Efron, JASA 82 (1987) 171, doi:10.1080/01621459.1987.10478410; the acceleration is the
    jackknife's, which for a mean is the skewness of the values over 6 √n.

    Args:
        values: Rows × columns, at least two rows.
        alpha: 1 minus the nominal coverage.
        seed: Seed of the resamples.
        resamples: How many.
    """
    means = _resampled_means(values, np.random.default_rng(seed), resamples)
    centre = values.mean(axis=0)
    slack = _ROUNDING * np.maximum(np.abs(values).max(axis=0), _ROUNDING)
    below = (means < centre - slack).mean(axis=0)
    share = (below + 1 - (means > centre + slack).mean(axis=0)) / 2
    bias = ndtri(np.clip(share, 1 / (2 * resamples), 1 - 1 / (2 * resamples)))
    deviations = values - centre
    flat = np.ptp(values, axis=0) <= slack
    squares = np.where(flat, 1.0, (deviations**2).sum(axis=0))
    acceleration = (deviations**3).sum(axis=0) / (6 * squares**1.5)
    z = ndtri(np.array([[alpha / 2], [1 - alpha / 2]]))
    levels = ndtr(bias + (bias + z) / (1 - acceleration * (bias + z)))
    return [
        _flat(centre[place]) if flat[place] else _quantiles(means[:, place], levels[:, place])
        for place in range(values.shape[1])
    ]


def sign_flip_ps(values: Matrix, seed: int, resamples: int = RESAMPLES) -> list[float]:
    """Return each column's two-sided p-value of a mean of 0, by flipping signs of rows.

    Exact where all flips are at most `resamples`, else from random ones, and then never 0.
    Source: Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39,
    doi:10.2202/1544-6115.1585.

    Args:
        values: Differences, rows × columns.
        seed: Seed of the flips.
        resamples: Most flips.
    """
    rows = values.shape[0]
    total = values.sum(axis=0)
    seen = np.abs(total) - _ROUNDING * np.abs(values).sum(axis=0)
    if 2**rows <= resamples:
        patterns = (np.arange(2**rows)[:, None] >> np.arange(rows)) & 1
        hits = (np.abs((2.0 * patterns - 1) @ values) >= seen).sum(axis=0)
        return [float(count) for count in hits / 2**rows]
    generator = np.random.default_rng(seed)
    hits = np.zeros(values.shape[1])
    for count in _blocks(rows, resamples):
        kept = _coins(generator, count, rows) @ values
        hits += (np.abs(2 * kept - total) >= seen).sum(axis=0)  # kept minus flipped
    return [float(count) for count in (hits + 1) / (resamples + 1)]


def _resampled_means(values: Matrix, generator: np.random.Generator, resamples: int) -> Matrix:
    rows = values.shape[0]
    found = []
    for count in _blocks(rows, resamples):
        drawn = generator.integers(0, rows, size=(count, rows), dtype=np.int32)
        weights = np.empty((count, rows))
        for place, resample in enumerate(drawn):
            weights[place] = np.bincount(resample, minlength=rows)
        found.append(weights @ values / rows)
    return np.concatenate(found)


def _coins(generator: np.random.Generator, count: int, rows: int) -> Matrix:
    """Return fair coins, 0 or 1, one for each row of each of `count` resamples."""
    drawn = np.frombuffer(generator.bytes(-(-count * rows // 8)), dtype=np.uint8)
    return np.unpackbits(drawn, count=count * rows).reshape(count, rows).astype(np.float64)


def _blocks(rows: int, resamples: int) -> Iterator[int]:
    """Yield how many resamples to hold at a time, so that memory stays bounded."""
    most = max(_CELLS // rows, 1)
    for start in range(0, resamples, most):
        yield min(most, resamples - start)


def _flat(value: float) -> Bounds:
    return Bounds(low=float(value), high=float(value))


def _quantiles(means: npt.NDArray[np.float64], levels: npt.NDArray[np.float64]) -> Bounds:
    low, high = np.quantile(means, levels)
    return Bounds(low=float(low), high=float(high))
