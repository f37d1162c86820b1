"""Measures held against the most they may be."""

import pytest

from evals.intervals import Estimate
from evals.limits import Standing, upper_limit


@pytest.mark.parametrize(
    ("low", "high", "standing"),
    [
        (2.3e-16, 2.3e-16, Standing.HELD),
        (-0.01, 0.01, Standing.OPEN),
        (0.01, 0.02, Standing.BROKEN),
    ],
)
def test_rounding_breaks_no_limit(low: float, high: float, standing: Standing) -> None:
    """Means of equal figures differ in their last bits, which is no gap."""
    measured = Estimate(mean=(low + high) / 2, low=low, high=high, n=50, method="exact")
    assert upper_limit("max_gap", "The gap", measured, 0.0).standing is standing
