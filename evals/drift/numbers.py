"""Two samples of a numeric feature, compared: PSI, Jensen–Shannon, Kolmogorov–Smirnov: pure.

It refuses to know which feature it is and what follows.
"""

import numpy as np
from scipy.stats import ks_2samp

from evals.drift.bins import Counts, Values, count, edges_of
from evals.drift.divergence import Distance, jensen_shannon, psi
from registry.records import DriftFigure, DriftStatistic


def compare_numbers(reference: Values, window: Values) -> list[DriftFigure]:
    """Return the three statistics; the bins are fixed on the reference.

    Args:
        reference: Values of the reference, shape (n,), at least two that are not NaN.
        window: Values of the latest window, shape (m,), the same. NaN is no value and left out;
            infinities are values beyond every bound.
    """
    edges = edges_of(reference)
    figures = compare_counts(count(reference, edges), count(window, edges))
    return [*figures, kolmogorov_smirnov(reference, window)]


def compare_counts(reference: Counts, window: Counts) -> list[DriftFigure]:
    """Return PSI and Jensen–Shannon of counts in the same bins."""
    return [
        figure_of(DriftStatistic.PSI, psi(reference, window)),
        figure_of(DriftStatistic.JENSEN_SHANNON, jensen_shannon(reference, window)),
    ]


def figure_of(statistic: DriftStatistic, distance: Distance) -> DriftFigure:
    """Return a divergence as it is shown."""
    bounds = distance.bounds()
    return DriftFigure(
        statistic=statistic,
        value=distance.value,
        low=bounds.low,
        high=bounds.high,
        p_value=distance.p_value,
    )


def kolmogorov_smirnov(reference: Values, window: Values) -> DriftFigure:
    """Return the two-sample statistic, with its asymptotic p-value from scipy.

    Source: Hodges, Arkiv för Matematik 3 (1958) 469, doi:10.1007/BF02589501. Where values repeat
    the p-value is too large, never too small.
    """
    found = ks_2samp(reference[~np.isnan(reference)], window[~np.isnan(window)], method="asymp")
    return DriftFigure(
        statistic=DriftStatistic.KOLMOGOROV_SMIRNOV,
        value=float(found.statistic),
        p_value=float(found.pvalue),
    )
