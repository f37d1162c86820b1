"""How far two tables of counts are apart: PSI and Jensen–Shannon, with intervals: pure.

It refuses to know what was counted.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import rel_entr
from scipy.stats import chi2, ncx2, norm

from evals.bootstrap import Bounds
from evals.drift.bins import Counts
from registry.records import Record

PSI_PER_BIT = 8 * math.log(2)
"""PSI for a bit of Jensen–Shannon divergence, while both are small: each is half, and a sixteenth,
of the same χ² distance of the shares."""
ALPHA = 0.05
"""Chance that an interval misses, and that a test errs without drift."""
_EXACT_UP_TO = 5_000.0
_FAR = 10.0  # deviations of the root

Shares = npt.NDArray[np.float64]
"""Shares of the reference and of the window, one row each."""


class Distance(Record, frozen=True, kw_only=True):
    """A divergence of two samples whose distribution is known.

    Without drift `scale` × divergence follows χ² with `freedom` degrees (for PSI: Yurdakul and
    Naranjo, Journal of Risk Model Validation 14 (2020), doi:10.21314/JRMV.2020.227); with a little
    drift the noncentral χ² whose noncentrality is `scale` × the true divergence.
    """

    value: float
    """The divergence."""
    scale: float
    """n·m / (n + m) rows, times the divergence's own factor."""
    freedom: int
    """Bins that are not empty on both sides, less one."""

    @property
    def p_value(self) -> float:
        """Chance of a divergence as large without drift."""
        return float(chi2.sf(self.value * self.scale, self.freedom)) if self.freedom else 1.0

    def bounds(self) -> Bounds:
        """Return the 95 % interval of the true divergence; it reaches 0 where nothing is shown."""
        if not self.freedom:
            return Bounds(low=0.0, high=0.0)
        low = self._noncentrality(1 - ALPHA / 2)
        high = self._noncentrality(ALPHA / 2)
        return Bounds(low=low / self.scale, high=high / self.scale)

    def _noncentrality(self, level: float) -> float:
        """Return the noncentrality of which `level` lies below what was seen; 0 if none has."""
        seen = self.value * self.scale
        if seen > _EXACT_UP_TO:  # the root of a noncentral χ² is nearly normal with deviation 1
            return float((math.sqrt(seen) - norm.ppf(level)) ** 2) - self.freedom + 1
        if chi2.cdf(seen, self.freedom) <= level:
            return 0.0

        def beyond(noncentrality: float) -> float:
            return float(ncx2.cdf(seen, self.freedom, noncentrality)) - level

        return float(brentq(beyond, 0.0, (math.sqrt(seen) + _FAR) ** 2))


def psi(reference: Counts, window: Counts) -> Distance:
    """Return the population stability index Σ (q - p) ln(q / p) over the bins' shares.

    A bin that is empty on both sides is left out. If one is empty on one side, half a row is added
    to every bin of both, so that the logarithm exists; otherwise the counts are taken as they are.
    """
    p, q = _shares(reference, window, smoothed=True)
    value = float(np.sum((q - p) * np.log(q / p)))
    return _distance(value, reference, window, per_psi=1.0)


def jensen_shannon(reference: Counts, window: Counts) -> Distance:
    """Return the Jensen–Shannon divergence in bits: base 2, not its root; 0 to 1.

    Source: Lin, IEEE Trans. Inf. Theory 37 (1991) 145, doi:10.1109/18.61115. Empty bins are no
    matter: their share of the sum is 0.
    """
    p, q = _shares(reference, window, smoothed=False)
    middle = (p + q) / 2
    nats = float(np.sum(rel_entr(p, middle)) + np.sum(rel_entr(q, middle))) / 2
    value = min(max(nats / math.log(2), 0.0), 1.0)
    return _distance(value, reference, window, per_psi=PSI_PER_BIT)


def _shares(reference: Counts, window: Counts, *, smoothed: bool) -> Shares:
    """Return both sides' shares of the bins that are not empty on both, shape (2, bins)."""
    counts = np.stack([reference, window]).astype(np.float64)
    counts = counts[:, counts.sum(axis=0) > 0]
    if smoothed and not counts.all():
        counts = counts + 0.5
    shares: Shares = counts / counts.sum(axis=1, keepdims=True)
    return shares


def _distance(value: float, reference: Counts, window: Counts, *, per_psi: float) -> Distance:
    rows = 1 / (1 / int(reference.sum()) + 1 / int(window.sum()))
    freedom = int(np.count_nonzero(reference + window)) - 1
    return Distance(value=value, scale=per_psi * rows, freedom=freedom)
