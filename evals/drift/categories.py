"""Two samples of a categorical feature, compared: χ² and Jensen–Shannon: pure.

It refuses to know which feature it is and what follows.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.stats import chi2_contingency

from evals.drift.bins import BINS, Counts
from evals.drift.divergence import jensen_shannon
from evals.drift.numbers import figure_of
from registry.records import DriftFigure, DriftStatistic

LEAST_EXPECTED = 5.0
"""Fewest rows that a category must be expected to have on each side to stand for itself
(Cochran's rule, doi:10.2307/3001616)."""


def compare_categories(reference: Sequence[str], window: Sequence[str]) -> list[DriftFigure]:
    """Return χ² without a correction for continuity, and Jensen–Shannon, of the same table.

    Args:
        reference: The category of each row of the reference, at least one.
        window: The same of the latest window.
    """
    table = tabulate(reference, window)
    chi_squared, p_value = 0.0, 1.0
    if table.shape[1] > 1:
        found = chi2_contingency(table, correction=False)
        chi_squared, p_value = float(found.statistic), float(found.pvalue)
    return [
        DriftFigure(statistic=DriftStatistic.CHI_SQUARED, value=chi_squared, p_value=p_value),
        figure_of(DriftStatistic.JENSEN_SHANNON, jensen_shannon(table[0], table[1])),
    ]


def tabulate(reference: Sequence[str], window: Sequence[str]) -> Counts:
    """Return the rows of each category: shape (2, categories), the reference first.

    Categories beyond the ten commonest of both sides, and those too rare to stand for themselves,
    are one category together: those unseen in the reference among them, if they are rare. If that
    one is still too rare, it joins the rarest of the others.
    """
    known, latest = Counter(reference), Counter(window)
    both = known + latest
    smaller = min(len(reference), len(window)) / (len(reference) + len(window))
    ranked = sorted(both, key=lambda each: (-both[each], each))
    common = [each for each in ranked[: BINS - 1] if both[each] * smaller >= LEAST_EXPECTED]
    rare = set(both) - set(common)
    rare_rows = sum(both[each] for each in rare)
    if rare and common and rare_rows * smaller < LEAST_EXPECTED:
        rare.add(common.pop())
    groups = [{each} for each in common] + ([rare] if rare else [])
    return np.array(
        [[sum(side[each] for each in group) for group in groups] for side in (known, latest)],
        dtype=np.int64,
    )
