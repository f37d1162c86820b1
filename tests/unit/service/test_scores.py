"""The interval of a mean score."""

import pytest

from service.scores import wilson


def test_the_reference_value() -> None:
    """81 of 263 gives the published interval."""
    found = wilson(81 / 263, 263)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_a_perfect_score_is_not_certain(mean: float) -> None:
    """At the ends of the range the interval still has a width, and stays inside the range."""
    found = wilson(mean, 10)
    assert 0 <= found.low <= mean <= found.high <= 1
    assert found.high - found.low > 0.2
