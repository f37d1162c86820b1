"""Sequences that are valid at every look, against published values and by simulation."""

import numpy as np
import pytest

from evals import sequential

NAIVE = {1: 5.0, 2: 8.1, 5: 14.5, 10: 19.3, 20: 24.9, 50: 32.1, 100: 37.2}
"""False positives of a plain z-test, in percent, by looks."""


def test_normal_mixture_reference() -> None:
    """At v = v_opt = 100, level 0.05, the published rho is 12.60056, the bound 30.35209."""
    rho = sequential.normal_mixture_rho(100, 0.05)
    assert rho == pytest.approx(12.60056, abs=5e-6)
    assert sequential.normal_mixture_bound(100, rho, 0.05) == pytest.approx(30.35209, abs=5e-6)


def test_bernoulli_reference() -> None:
    """700 of 1,000, best at 100, have the published bounds (0.651629, 0.745949)."""
    found = sequential.bernoulli_bounds(700, 1_000, 0.05, 100)
    assert [found.low, found.high] == pytest.approx([0.651629, 0.745949], abs=1e-6)


def test_bernoulli_without_trials() -> None:
    """Nothing seen leaves everything possible."""
    found = sequential.bernoulli_bounds(0, 0, 0.05, 100)
    assert (found.low, found.high) == (0.0, 1.0)


@pytest.mark.parametrize(("hits", "ends"), [(0, (0.0, None)), (50, (None, 1.0))])
def test_bernoulli_at_the_ends(hits: int, ends: tuple[float | None, float | None]) -> None:
    """All failures leave 0 possible, all successes 1, and the other end is inside."""
    found = sequential.bernoulli_bounds(hits, 50, 0.05, 100)
    assert ends[0] is None or found.low == ends[0]
    assert ends[1] is None or found.high == ends[1]
    assert 0 < found.high - found.low < 1


def test_bernoulli_covers_at_every_look() -> None:
    """The truth is left at any of 30 looks in at most 5 % of 300 sequences."""
    drawn = np.random.default_rng(2).random((300, 900)) < 0.3
    hits = drawn.cumsum(axis=1)
    left = 0
    for run in hits:
        bounds = [
            sequential.bernoulli_bounds(int(run[n - 1]), n, 0.05, 200) for n in range(30, 901, 30)
        ]
        left += any(not each.low <= 0.3 <= each.high for each in bounds)
    assert left / 300 <= 0.05


def test_asymptotic_half_width_by_hand() -> None:
    """At N = N* = 1,000 with unit variance it is 0.1035, 1.67 times the fixed interval's."""
    found = sequential.asymptotic_half_width(1 / 1_000**0.5, 1_000, 0.05, 1_000)
    rho2 = sequential.mixture_variance(0.05, 1_000)
    assert rho2 == pytest.approx(7.9361e-3, rel=1e-4)
    by_hand = 2 * (1000 * rho2 + 1) / (1000**2 * rho2) * np.log((1000 * rho2 + 1) ** 0.5 / 0.05)
    assert found == pytest.approx(by_hand**0.5)


def test_continuous_peeking_stays_below_alpha() -> None:
    """Looked at after every unit from the 50th on, the sequence errs in at most 5 % of runs."""
    runs, most, alpha = 1_000, 2_000, 0.05
    steps = np.random.default_rng(8).standard_normal((runs, most))
    counts = np.arange(1, most + 1)
    means = steps.cumsum(axis=1) / counts
    variances = (steps**2).cumsum(axis=1) / counts - means**2
    late = counts >= 50
    widths = np.array(
        [sequential.asymptotic_half_width(n**-0.5, n, alpha, 1_000) for n in counts[late]]
    )
    errs = np.abs(means[:, late]) > widths * np.sqrt(np.maximum(variances[:, late], 0.0))
    assert errs.any(axis=1).mean() <= alpha


def test_a_naive_test_is_ruined_by_peeking() -> None:
    """The simulation shows the published rates of a plain z-test, within 0.7 points."""
    rates = {
        looks: 100 * sequential.peeking_rate(looks, alpha=0.05, runs=40_000, seed=1)
        for looks in NAIVE
    }
    assert rates == pytest.approx(NAIVE, abs=0.7)


def test_a_fair_split_raises_no_alarm() -> None:
    """Equal arms are no mismatch, also when they are far from exactly equal."""
    found = sequential.sample_ratio([5_050, 4_950], [0.5, 0.5])
    assert not found.is_alarm
    assert found.fixed_p == pytest.approx(0.3173, abs=1e-4)


def test_a_broken_split_raises_the_alarm() -> None:
    """Units that go missing from one arm are noticed."""
    found = sequential.sample_ratio([5_500, 4_500], [1, 1])
    assert found.is_alarm
    assert found.fixed_p < 1e-20


def test_no_units_are_no_mismatch() -> None:
    """Before the first unit there is nothing to see."""
    found = sequential.sample_ratio([0, 0], [0.5, 0.5])
    assert (found.sequential_p, found.fixed_p, found.is_alarm) == (1.0, 1.0, False)


def test_looking_at_the_split_all_the_time_is_allowed() -> None:
    """Over 300 fair experiments with 20 looks each, p is ever below 0.05 in at most 5 %."""
    drawn = np.random.default_rng(5).binomial(50, 0.5, size=(300, 20)).cumsum(axis=1)
    small = sum(
        any(
            sequential.sample_ratio([int(ones), 50 * look - int(ones)], [1, 1], 100.0).sequential_p
            < 0.05
            for look, ones in enumerate(run, start=1)
        )
        for run in drawn
    )
    assert small / 300 <= 0.05


def test_variance_falls_by_the_squared_correlation() -> None:
    """With correlation 0.8 a third of the variance is left, and the mean is the same."""
    generator = np.random.default_rng(6)
    before = generator.normal(size=5_000)
    outcomes = 0.8 * before + 0.6 * generator.normal(size=5_000) + 3
    found = sequential.variance_reduced(outcomes, before)
    assert found.mean() == pytest.approx(outcomes.mean())
    assert found.var() / outcomes.var() == pytest.approx(1 - 0.8**2, abs=0.03)


def test_a_constant_before_changes_nothing() -> None:
    """What is the same for all explains nothing."""
    outcomes = np.array([1.0, 2.0, 3.0])
    assert sequential.variance_reduced(outcomes, np.ones(3)) is outcomes
