"""The drift statistics against hand-computed figures and scipy, and what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, ks_2samp, norm

from evals.drift.bins import BINS, Counts, Values, count, edges_of
from evals.drift.categories import compare_categories, tabulate
from evals.drift.divergence import PSI_PER_BIT, jensen_shannon, psi
from evals.drift.numbers import compare_numbers, kolmogorov_smirnov
from registry.records import DriftFigure, DriftStatistic

NUMBERS = arrays(
    np.float64,
    st.integers(1, 60),
    elements=st.floats(allow_nan=True, allow_infinity=True, width=32),
)
COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=12)


def counts(*rows: int) -> Counts:
    """Return counts."""
    return np.array(rows, dtype=np.int64)


def known(values: Values) -> bool:
    """Return whether a sample has two values at least."""
    return int(np.count_nonzero(~np.isnan(values))) > 1


def figure(figures: list[DriftFigure], statistic: DriftStatistic) -> DriftFigure:
    """Return one of the figures."""
    (found,) = (each for each in figures if each.statistic is statistic)
    return found


def test_psi_by_hand() -> None:
    """Half and half against a quarter and three: 0.25 ln 2 + 0.25 ln 1.5 = 0.27465."""
    assert psi(counts(50, 50), counts(25, 75)).value == pytest.approx(0.25 * math.log(3))


def test_psi_of_ten_bins_by_hand() -> None:
    """A tenth moves from the first bin to the last: 0.05 ln 2 + 0.05 ln 1.5 = 0.05493."""
    moved = counts(50, *[100] * 8, 150)
    assert psi(counts(*[100] * 10), moved).value == pytest.approx(0.05 * math.log(3))


def test_an_empty_bin_gets_half_a_row() -> None:
    """And so does every other bin of both sides: 10.5, 0.5 against 5.5, 5.5 of 11."""
    by_hand = (5.5 - 10.5) / 11 * math.log(5.5 / 10.5) + 5 / 11 * math.log(5.5 / 0.5)
    assert psi(counts(10, 0), counts(5, 5)).value == pytest.approx(by_hand)


def test_a_bin_empty_on_both_sides_is_left_out() -> None:
    """It changes neither the figure nor its degrees of freedom."""
    assert psi(counts(50, 0, 50), counts(25, 0, 75)) == psi(counts(50, 50), counts(25, 75))


def test_jensen_shannon_is_scipys_distance_squared() -> None:
    """In base 2: the divergence, not its root."""
    ours = jensen_shannon(counts(10, 20, 70), counts(30, 30, 40)).value
    assert ours == pytest.approx(jensenshannon([0.1, 0.2, 0.7], [0.3, 0.3, 0.4], base=2) ** 2)


def test_jensen_shannon_of_nothing_shared_is_one_bit() -> None:
    """Its largest value."""
    assert jensen_shannon(counts(7, 0), counts(0, 9)).value == pytest.approx(1.0)


def test_psi_is_eight_times_jensen_shannon_in_nats_for_small_drift() -> None:
    """So both have the same thresholds."""
    before, now = counts(1000, 1000, 1000), counts(980, 1000, 1020)
    ratio = psi(before, now).value / jensen_shannon(before, now).value
    assert ratio == pytest.approx(PSI_PER_BIT, rel=1e-3)


def test_the_p_value_of_psi_is_pearsons_for_small_drift() -> None:
    """Both are the same χ² to the second order."""
    table = [[250, 250, 250, 250], [230, 270, 260, 240]]
    ours = psi(counts(*table[0]), counts(*table[1])).p_value
    assert ours == pytest.approx(chi2_contingency(table).pvalue, rel=0.01)


def test_kolmogorov_smirnov_is_scipys() -> None:
    """D = 0.5 by hand: half of the first lies below all of the second."""
    before, now = np.array([1.0, 2, 3, 4]), np.array([3.0, 4, 5, 6])
    found = kolmogorov_smirnov(before, now)
    assert found.value == 0.5
    assert found.p_value == pytest.approx(ks_2samp(before, now, method="asymp").pvalue)


def test_chi_squared_by_hand() -> None:
    """30, 70 against 50, 50: χ² = 8.3333 without a correction, p = 0.00389."""
    found = compare_categories(["a"] * 30 + ["b"] * 70, ["a"] * 50 + ["b"] * 50)
    chi_squared = figure(found, DriftStatistic.CHI_SQUARED)
    assert chi_squared.value == pytest.approx(25 / 3)
    assert chi_squared.p_value == pytest.approx(0.003892, abs=1e-6)


def test_bins_hold_a_tenth_of_the_reference_each() -> None:
    """Of values that differ."""
    reference = np.random.default_rng(1).normal(size=1000)
    assert count(reference, edges_of(reference)).tolist() == [100] * BINS


def test_values_out_of_range_fall_into_the_outer_bins() -> None:
    """Infinities too; a value that is none (NaN) falls nowhere."""
    edges = edges_of(np.arange(100, dtype=np.float64))
    odd = np.array([-1e300, -np.inf, 1e300, np.inf, np.nan])
    assert count(odd, edges).tolist() == [2, *[0] * 8, 2]


def test_a_constant_has_a_bin_of_its_own() -> None:
    """So that both a rise and a fall are seen."""
    edges = edges_of(np.full(50, 0.7))
    assert count(np.array([0.5, 0.7, 0.7, 0.9]), edges).tolist() == [1, 2, 1]


def test_a_value_of_several_tenths_has_a_bin_of_its_own() -> None:
    """Half of the rows are 0, the others differ."""
    reference = np.array([*[0.0] * 50, *range(1, 51)], dtype=np.float64)
    counted = count(reference, edges_of(reference))
    assert counted[1] == 50
    assert counted[0] == 0


@pytest.mark.parametrize("moved", [0.1, 0.9])
def test_a_shift_of_a_constant_is_found(moved: float) -> None:
    """To either side, in every statistic."""
    found = compare_numbers(np.full(300, 0.7), np.full(300, moved))
    assert figure(found, DriftStatistic.PSI).value > 5
    assert figure(found, DriftStatistic.JENSEN_SHANNON).value == pytest.approx(1)
    assert figure(found, DriftStatistic.KOLMOGOROV_SMIRNOV).value == 1


def test_a_constant_that_stays_shows_nothing() -> None:
    """Every figure is 0, and no test errs."""
    found = compare_numbers(np.full(300, 0.7), np.full(300, 0.7))
    assert {each.value for each in found} == {0.0}
    assert {each.p_value for each in found} == {1.0}


def test_a_reference_without_values_has_one_bin() -> None:
    """NaN throughout bounds nothing."""
    edges = edges_of(np.full(9, np.nan))
    assert count(np.array([1.0, np.nan]), edges).tolist() == [1]


def test_unseen_categories_are_counted() -> None:
    """A window of categories that the reference never had shares nothing with it."""
    found = compare_categories(["a"] * 200, [f"new-{n}" for n in range(200)])
    assert figure(found, DriftStatistic.JENSEN_SHANNON).value == pytest.approx(1.0)


def test_one_category_is_no_test() -> None:
    """Nothing can differ."""
    found = compare_categories(["a"] * 200, ["a"] * 100)
    assert [each.p_value for each in found] == [1.0, 1.0]
    assert [each.value for each in found] == [0.0, 0.0]


def test_rare_categories_are_one() -> None:
    """Those expected less than five times on a side; if still too few they join the rarest."""
    table = tabulate(["a"] * 100 + ["b"] * 60 + ["c"], ["a"] * 100 + ["b"] * 60 + ["d"])
    assert table.tolist() == [[100, 61], [100, 61]]


def test_categories_are_bounded() -> None:
    """The commonest stand for themselves, the others together."""
    many = [f"c{n}" for n in range(40)] * 20
    assert tabulate(many, many).shape == (2, BINS)


def test_only_rare_categories_are_one_column() -> None:
    """All of them together."""
    assert tabulate(["a", "b"], ["c", "d"]).tolist() == [[2], [2]]


@given(COUNTS)
def test_divergences_are_never_negative(rows: list[tuple[int, int]]) -> None:
    """And 0 for equal samples, whatever is empty; every interval is one."""
    before, now = np.array([(a + 1, b + 1) for a, b in rows]).T
    before[1:] -= 1
    now[1:] -= 1
    for distance in (psi, jensen_shannon):
        found = distance(before, now)
        assert found.value >= 0
        assert distance(before, before).value == 0
        assert 0 <= found.bounds().low <= found.bounds().high
        assert 0 <= found.p_value <= 1


@given(COUNTS)
def test_divergences_are_symmetric(rows: list[tuple[int, int]]) -> None:
    """Neither side is the first."""
    before, now = np.array([(a + 1, b + 1) for a, b in rows]).T
    for distance in (psi, jensen_shannon):
        there, back = distance(before, now), distance(now, before)
        assert there.value == pytest.approx(back.value, abs=1e-12)


@given(NUMBERS.filter(known), NUMBERS.filter(known))
@settings(max_examples=60)
def test_the_order_of_rows_is_no_matter(before: Values, now: Values) -> None:
    """Hostile numbers or not."""
    shuffled = np.random.default_rng(0).permutation(now)
    assert compare_numbers(before, now) == compare_numbers(before[::-1], shuffled)


@given(NUMBERS.filter(known), st.sampled_from([2.0, 0.5, -1.0]))
@settings(max_examples=60)
def test_the_unit_of_a_number_is_no_matter(values: Values, factor: float) -> None:
    """Kolmogorov–Smirnov is the same in seconds and in milliseconds, and mirrored."""
    now = np.concatenate([values, [1.0]])
    first, second = (
        kolmogorov_smirnov(values, now),
        kolmogorov_smirnov(values * factor, now * factor),
    )
    assert first.value == pytest.approx(second.value)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.45])
def test_intervals_cover_the_true_divergence(shift: float) -> None:
    """In at least 90 % of 300 samples of 500 rows (nominal: 95 %), up to the limit to act."""
    draw, covered = np.random.default_rng(5), 0
    for _ in range(300):
        before, now = draw.normal(size=500), draw.normal(size=500) + shift
        edges = edges_of(before)
        p = np.diff(np.array([0.0, *norm.cdf(edges), 1.0]))
        q = np.diff(np.array([0.0, *norm.cdf(edges - shift), 1.0]))
        bounds = psi(count(before, edges), count(now, edges)).bounds()
        covered += bounds.low <= float(np.sum((q - p) * np.log(q / p))) <= bounds.high
    assert covered >= 270


def test_intervals_of_many_rows_are_close() -> None:
    """A million rows on each side: within 3 % of the figure, by the normal form."""
    before, now = counts(*[100_000] * 10), counts(50_000, *[100_000] * 8, 150_000)
    found = psi(before, now)
    bounds = found.bounds()
    assert found.value * 0.97 < bounds.low < found.value < bounds.high < found.value * 1.03
