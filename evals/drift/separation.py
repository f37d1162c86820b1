"""How well a classifier tells two samples apart: the classifier two-sample test: pure.

It refuses to know what the rows' features mean. Source: Lopez-Paz and Oquab, arXiv 1610.06545; the
area under the curve stands in place of the accuracy, so that sides of unequal size are no matter.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.sparse import csr_matrix
from scipy.special import ndtri
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from evals.bootstrap import Bounds
from evals.drift.divergence import ALPHA
from registry.records import Record

FOLDS = 5
"""Parts of the rows; each is judged by a classifier that was fitted to the others."""
_SEED = 0
_STEPS = 1000
_EDGE = 1e-9

Features = npt.NDArray[np.float64] | csr_matrix
"""Features of rows, shape (rows, features)."""
Flags = npt.NDArray[np.bool_]
"""Whether each row is of the window."""
Units = npt.NDArray[np.int64]
"""Which rows belong together: equal numbers are one unit's."""


class Separation(Record, frozen=True, kw_only=True):
    """How well two samples were told apart."""

    auc: float
    """Mean over the folds of the chance that a row of the window has a higher score than one of the
    reference: 0.5 when alike. It may fall below."""
    low: float
    """Lower bound of its 95 % interval."""
    high: float
    """Upper bound of the same."""


def separate(features: Features, is_window: Flags, units: Units | None = None) -> Separation | None:
    """Return the cross-validated AUC of a logistic regression; none if a fold lacks a side.

    Args:
        features: The rows' features, an array or a sparse matrix of shape (n + m, features).
        is_window: Which rows are the window's, shape (n + m,).
        units: Which rows belong together, shape (n + m,); such rows are never on both sides of a
            fold, and count as one for the interval. Every row stands for itself by default.
    """
    alone = units is None
    members = np.arange(is_window.size) if units is None else units
    sides = [np.unique(members[is_window == side]).size for side in (False, True)]
    if min(sides) < FOLDS:
        return None
    splitter = StratifiedKFold if alone else StratifiedGroupKFold
    folds = splitter(n_splits=FOLDS, shuffle=True, random_state=_SEED)
    splits = folds.split(features, is_window, units)
    areas = list(_areas(features, is_window, splits))
    if len(areas) < FOLDS:
        return None
    auc = float(np.mean(areas))
    bounds = auc_bounds(auc, reference=sides[0], window=sides[1], folds=FOLDS)
    return Separation(auc=auc, low=bounds.low, high=bounds.high)


def _areas(
    features: Features, is_window: Flags, splits: Iterable[tuple[Units, Units]]
) -> Iterator[float]:
    for learned, judged in splits:
        truth = is_window[judged]
        if not (_has_both(truth) and _has_both(is_window[learned])):
            continue
        model = LogisticRegression(max_iter=_STEPS, class_weight="balanced")
        model.fit(features[learned], is_window[learned])
        yield float(roc_auc_score(truth, model.decision_function(features[judged])))


def _has_both(flags: Flags) -> bool:
    return bool(flags.any()) and not bool(flags.all())


def auc_bounds(auc: float, *, reference: int, window: int, folds: int) -> Bounds:
    """Return the 95 % interval of the mean AUC of disjoint folds.

    Newcombe's fifth method, doi:10.1002/sim.2324: the AUCs from which the one seen is not farther
    than the normal quantile times Hanley and McNeil's standard error at them. It keeps its width at
    an AUC of 1. The folds share the rows evenly; that their classifiers have most of their rows in
    common is corrected as Nadeau and Bengio do, doi:10.1023/A:1024068626366: without it the
    interval covered 0.5 in 82 % of 60 simulations without drift, of 200 texts against 200.
    """
    low_side, high_side = reference / folds, window / folds
    quantile = float(ndtri(1 - ALPHA / 2))
    equal = (low_side + high_side) / 2 - 1
    common = 1 / folds + 1 / (folds - 1)

    def error(true: float) -> float:
        shared = 1 + equal * (1 - true) / (2 - true) + equal * true / (1 + true)
        variance = true * (1 - true) * shared / (low_side * high_side) * common
        return float(np.sqrt(max(variance, 0.0)))

    def below(true: float) -> float:
        return auc - true - quantile * error(true)

    def above(true: float) -> float:
        return true - auc - quantile * error(true)

    low = 0.0 if auc <= _EDGE else float(brentq(below, 0.0, auc - _EDGE / 2))
    high = 1.0 if auc >= 1 - _EDGE else float(brentq(above, auc + _EDGE / 2, 1.0))
    return Bounds(low=low, high=high)
