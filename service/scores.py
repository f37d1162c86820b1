"""How sure a mean score is.

It refuses to know where the scores come from.
"""

import math
from statistics import NormalDist

from registry.records import Record


class Bounds(Record, frozen=True, kw_only=True):
    """An interval."""

    low: float
    """Lower bound."""
    high: float
    """Upper bound."""


def wilson(mean: float, n: int, *, level: float = 0.95) -> Bounds:
    """Return the Wilson interval of a mean of `n` scores between 0 and 1.

    For scores that are 0 or 1 it is Wilson's (Journal of the American Statistical Association 22,
    1927, doi:10.1080/01621459.1927.10502953). For scores in between it is wider than needed, since
    no variable on that range varies more than a binary one of the same mean. It is valid at one
    look, not while traffic is watched.

    Args:
        mean: Mean score, 0 to 1.
        n: Scores, at least 1.
        level: Coverage, 0 to 1.
    """
    z = NormalDist().inv_cdf(0.5 + level / 2)
    shrunk = 1 + z * z / n
    centre = (mean + z * z / (2 * n)) / shrunk
    half = z / shrunk * math.sqrt(mean * (1 - mean) / n + z * z / (4 * n * n))
    return Bounds(low=max(0.0, min(mean, centre - half)), high=min(1.0, max(mean, centre + half)))
