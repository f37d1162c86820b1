"""Intervals and tests against published values and by simulation."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from evals import intervals
from evals.intervals import Pairs


def _pairs(both: int, first: int, second: int, neither: int) -> Pairs:
    return Pairs(both=both, first=first, second=second, neither=neither)


def test_mcnemar_reference() -> None:
    """Exact McNemar of [[59, 6], [16, 80]] is 0.0525."""
    assert intervals.mcnemar_p(_pairs(59, 6, 16, 80)) == pytest.approx(0.0525, abs=5e-5)


def test_mcnemar_without_discordant_rows() -> None:
    """Without a discordant row there is no evidence at all."""
    assert intervals.mcnemar_p(_pairs(5, 0, 0, 5)) == 1


def test_wilson_reference() -> None:
    """Wilson's interval of 81 of 263 is (0.2553, 0.3662)."""
    found = intervals.proportion(81, 263, 0.05)
    assert [found.low, found.high] == pytest.approx([0.2553, 0.3662], abs=5e-5)


def test_tango_reference() -> None:
    """Tango's interval of the stem cell data (1, 1, 7, 12) is (-0.517, -0.026).

    Source: Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014) 2850,
    doi:10.1002/sim.6148.
    """
    found = intervals.paired_proportions(_pairs(1, 1, 7, 12), 0.05)
    assert [found.low, found.high] == pytest.approx([-0.517, -0.026], abs=5e-4)


def test_tango_without_discordant_rows() -> None:
    """Without a discordant row the bounds are ± z² / (n + z²), not 0."""
    found = intervals.paired_proportions(_pairs(150, 0, 0, 50), 0.05)
    assert [found.low, found.high] == pytest.approx([-0.018845, 0.018845], abs=1e-6)


@pytest.mark.parametrize(("first", "second", "end"), [(20, 0, 1.0), (0, 20, -1.0)])
def test_tango_at_the_ends(first: int, second: int, end: float) -> None:
    """A difference of ±1 is its own outer bound and still has an inner one."""
    found = intervals.paired_proportions(_pairs(0, first, second, 0), 0.05)
    bounds = {found.low, found.high}
    assert end in bounds
    assert found.low != found.high


def test_tango_mirrors() -> None:
    """Swapping the systems mirrors the interval."""
    one = intervals.paired_proportions(_pairs(10, 7, 3, 20), 0.05)
    other = intervals.paired_proportions(_pairs(10, 3, 7, 20), 0.05)
    assert one.low is not None
    assert other.high == pytest.approx(-one.low, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "shares"),
    [
        (60, (0.45, 0.10, 0.10, 0.35)),
        (200, (0.55, 0.08, 0.04, 0.33)),
        (200, (0.90, 0.03, 0.03, 0.04)),
        (200, (0.05, 0.80, 0.01, 0.14)),
    ],
)
def test_tango_coverage(n: int, shares: tuple[float, float, float, float]) -> None:
    """The 95 % interval covers the true difference in 93 to 97 % of 2,000 samples."""
    drawn = np.random.default_rng(7).multinomial(n, shares, size=2_000)
    truth = shares[1] - shares[2]
    covered = 0
    for counts in drawn:
        found = intervals.paired_proportions(_pairs(*map(int, counts)), 0.05)
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= truth <= found.high
    assert 0.93 <= covered / len(drawn) <= 0.97


def test_bca_contains_a_clear_mean() -> None:
    """The bootstrap interval of a symmetric sample lies around its mean, near the normal one."""
    values = list(np.random.default_rng(1).normal(2.0, 1.0, size=400))
    found = intervals.mean(values, 0.05, seed=0)
    assert found.low == pytest.approx(np.mean(values) - 1.96 * np.std(values) / 20, abs=0.02)


def test_bca_repeats() -> None:
    """The same seed gives the same interval, to the bit."""
    values = [0.1, 0.4, 0.2, 1.5, 0.3]
    assert intervals.mean(values, 0.05, seed=3) == intervals.mean(values, 0.05, seed=3)


@pytest.mark.parametrize("gap", [0.0, 1e-15])
def test_equal_values_have_a_point_interval(gap: float) -> None:
    """Where BCa is undefined, because all values are equal, the interval is the value."""
    found = intervals.mean([0.5, 0.5, 0.5 + gap], 0.05, seed=0)
    assert found.low == found.high == pytest.approx(0.5)
    assert found.method == "all rows equal"


def test_one_value_has_no_interval() -> None:
    """One row gives a mean and no interval."""
    found = intervals.mean([0.5], 0.05, seed=0)
    assert (found.mean, found.low, found.high, found.n) == (0.5, None, None, 1)


def test_no_value_is_unknown() -> None:
    """Without rows nothing is estimated: unknown is not 0."""
    found = [
        intervals.mean([], 0.05, seed=0),
        intervals.proportion(0, 0, 0.05),
        intervals.paired_proportions(_pairs(0, 0, 0, 0), 0.05),
    ]
    assert [(each.mean, each.low, each.high, each.n) for each in found] == [
        (None, None, None, 0)
    ] * 3


def test_sign_flip_is_exact_for_few_rows() -> None:
    """Five differences of one sign have a two-sided p of 2 / 2⁵."""
    assert intervals.sign_flip_p([1.0, 2.0, 3.0, 4.0, 5.0], seed=0) == pytest.approx(2 / 32)


def test_holm_adjusts() -> None:
    """Holm multiplies the smallest of three p-values by three, and keeps their order."""
    assert intervals.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_holm_is_statsmodels() -> None:
    """Twenty p-values, ties among them, are adjusted as the library does."""
    drawn = [round(float(value), 2) for value in np.random.default_rng(9).random(20) ** 3]
    assert intervals.holm(drawn) == pytest.approx(multipletests(drawn, method="holm")[1])


def test_holm_of_nothing() -> None:
    """A family without a test is empty."""
    assert intervals.holm([]) == []


def test_benjamini_hochberg_reference() -> None:
    """The k-th smallest of m p-values is multiplied by m / k, and their order is kept."""
    found = intervals.benjamini_hochberg([0.01, 0.04, 0.03, 0.5])
    assert found == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])


def test_benjamini_hochberg_of_nothing() -> None:
    """No segment, nothing to correct."""
    assert intervals.benjamini_hochberg([]) == []


def test_independent_shares_have_newcombes_interval() -> None:
    """Two Wilson intervals of 56/70 and 48/80 combine to Newcombe's (0.0524, 0.3339).

    Source: Newcombe, Statistics in Medicine 17 (1998) 873, method 10, example (a).
    """
    found = intervals.independent_difference(
        intervals.proportion(56, 70, 0.05), intervals.proportion(48, 80, 0.05)
    )
    assert [found.low, found.high] == pytest.approx([0.0524, 0.3339], abs=5e-5)


def test_a_difference_needs_both_sides() -> None:
    """Without rows on a side there is no difference; with one row there is no interval."""
    one, many = intervals.mean([0.5], 0.05, seed=0), intervals.proportion(3, 5, 0.05)
    unknown = intervals.independent_difference(intervals.nothing(), many)
    assert (unknown.mean, unknown.low) == (None, None)
    assert intervals.independent_difference(one, many).low is None
