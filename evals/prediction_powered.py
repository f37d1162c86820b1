"""A judge's mean, corrected by the rows that people judged too.

It refuses to know judges, people and arms.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from evals.intervals import Estimate
from registry.records import Record

Values = npt.NDArray[np.float64]
"""One figure for each row."""
MIN_LABELLED = 10
"""Fewest rows with a person's label; fewer leave the spread of the judge's errors unknown."""


class Debiased(Record, frozen=True, kw_only=True):
    """A corrected mean, and what was corrected."""

    estimate: Estimate
    """The corrected mean; its n are the rows that people judged."""
    bias: float | None
    """Mean of judge minus person on the rows that both judged; none without one."""
    weight: float
    """How much the judge counts, 0 to 1; at 0 the people's mean stands alone."""
    judged: int
    """Rows that only the judge judged."""


def debiased_mean(
    judged: Sequence[float],
    labelled_judge: Sequence[float],
    labelled_human: Sequence[float],
    alpha: float,
) -> Debiased:
    """Return the mean that people would give, from few of their labels and many of a judge's.

    θ = λ · mean(judge on the rest) + mean(person - λ · judge), with the λ of least variance, cut to
    0…1; interval ± t with n - 1 degrees of freedom. Its width never relies on the judge being
    right. Sources: Angelopoulos et al., Science 382 (2023) 669, doi:10.1126/science.adi6000; λ from
    Angelopoulos, Duchi and Zrnic, arXiv 2311.01453, section 6.

    Args:
        judged: The judge's values of rows without a label.
        labelled_judge: Its values of the labelled rows.
        labelled_human: The people's values of the same rows, in the same order.
        alpha: 1 minus the nominal coverage.

    Raises:
        ValueError: The labelled values are not pairs.
    """
    if len(labelled_judge) != len(labelled_human):
        raise ValueError("a labelled row has a judge's value and a person's")
    judge = np.asarray(labelled_judge, dtype=np.float64)
    human = np.asarray(labelled_human, dtype=np.float64)
    rest = np.asarray(judged, dtype=np.float64)
    n, many = human.size, rest.size
    bias = float((judge - human).mean()) if n else None
    if n < MIN_LABELLED:
        short = Estimate(
            mean=None, low=None, high=None, n=n, method=f"below {MIN_LABELLED} labelled rows"
        )
        return Debiased(estimate=short, bias=bias, weight=0.0, judged=many)
    weight = _weight(judge, human, rest)
    errors = human - weight * judge
    centre = float(errors.mean()) + (weight * float(rest.mean()) if weight else 0.0)
    variance = float(errors.var(ddof=1)) / n
    if weight:
        variance += weight**2 * float(rest.var(ddof=1)) / many
    half = float(t.isf(alpha / 2, n - 1)) * variance**0.5
    estimate = Estimate(
        mean=centre,
        low=centre - half,
        high=centre + half,
        n=n,
        method="prediction-powered inference",
    )
    return Debiased(estimate=estimate, bias=bias, weight=weight, judged=many)


def _weight(judge: Values, human: Values, rest: Values) -> float:
    """Return the λ of least variance: cov(person, judge) / ((1 + n / N) · var(judge))."""
    if rest.size < 2:
        return 0.0
    spread = float(np.concatenate([judge, rest]).var(ddof=1))
    if spread == 0:
        return 0.0
    shared = float(np.cov(human, judge)[0, 1])
    return min(max(shared / ((1 + judge.size / rest.size) * spread), 0.0), 1.0)
