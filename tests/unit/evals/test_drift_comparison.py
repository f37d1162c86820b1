"""What is concluded of two samples of interactions: floors, planted drift, and no false alarms."""

import math
from typing import Any

import pytest

from evals.drift.comparison import Floor, Texts, compare
from evals.drift.features import KINDS
from evals.drift.texts import Words
from evals.drift.verdict import SMALL_ROWS, worst
from registry.records import DriftRow, DriftState, DriftStatistic, FeatureDrift, FeatureKind
from tests.unit.evals.drift_rows import FLOOR, columns, drawn, named, row

ALARMS = {DriftState.WATCH, DriftState.ACT}


def compared(before: list[DriftRow], now: list[DriftRow], **floor: Any) -> dict[str, FeatureDrift]:
    """Return two samples' features by name."""
    chosen = Floor(**floor) if floor else FLOOR
    return named(compare(columns(before), columns(now), floor=chosen))


def words(count: int, text: str = "where is my parcel {}", units: int = 0) -> list[Words]:
    """Return texts that differ in a number."""
    return [
        Words(
            prompt=text.format(place % 7),
            answer="" if place % 2 else "soon",
            unit_hash=str(place % units) if units else None,
        )
        for place in range(count)
    ]


def test_planted_drift_is_to_be_acted_upon() -> None:
    """Requests twice as long: found in both features of their size, and in no other."""
    found = compared(drawn(1000, 1), drawn(1000, 2, longer=2))
    assert {name for name, each in found.items() if each.state in ALARMS} == {
        "body_bytes",
        "prompt_tokens",
    }
    assert found["body_bytes"].state is DriftState.ACT


def test_planted_drift_of_a_category_is_to_be_acted_upon() -> None:
    """Four answers in ten are cut off, in place of one."""
    found = compared(drawn(1000, 1), drawn(1000, 2, cut_share=0.4))
    assert {name for name, each in found.items() if each.state in ALARMS} == {"finish_reason"}
    assert found["finish_reason"].state is DriftState.ACT


def test_a_little_drift_is_to_be_watched() -> None:
    """A quarter longer: PSI between 0.1 and 0.2."""
    found = compared(drawn(2000, 1), drawn(2000, 2, longer=1.26))["body_bytes"]
    assert found.state is DriftState.WATCH
    assert 0.1 <= found.figures[0].value < 0.2


@pytest.mark.parametrize(("count", "most"), [(200, 0.10), (SMALL_ROWS, 0.0)])
def test_without_drift_alarms_are_rare(count: int, most: float) -> None:
    """Any alarm of any feature: at most 6 in 60 comparisons of small samples, none of large ones.

    Of small ones 5 % may have one by design; 25 large ones look at no p-value.
    """
    repeats = 60 if most else 25
    alarms = 0
    for seed in range(repeats):
        found = compare(
            columns(drawn(count, 2 * seed)), columns(drawn(count, 2 * seed + 1)), floor=FLOOR
        )
        alarms += worst(found) in ALARMS
    assert alarms <= most * repeats


def test_psi_alone_would_cry_wolf_on_small_samples() -> None:
    """So the test before proves something: of 60 comparisons many are over 0.1."""
    over = 0
    for seed in range(60):
        found = compared(drawn(200, 2 * seed), drawn(200, 2 * seed + 1))["body_bytes"]
        over += found.figures[0].value >= 0.1
    assert over > 10


def test_chance_on_a_small_sample_says_so() -> None:
    """A figure over its threshold that the test does not confirm is steady, with the reason."""
    for seed in range(60):
        found = compared(drawn(200, 2 * seed), drawn(200, 2 * seed + 1))["body_bytes"]
        if found.figures[0].value >= 0.1 and found.state is DriftState.STEADY:
            assert "may be chance: with 200 rows on a side the adjusted p-value" in found.reason
            return
    pytest.fail("no sample was over the threshold by chance")


def test_numbers_have_three_statistics_with_their_rows() -> None:
    """PSI and Jensen–Shannon with intervals, Kolmogorov–Smirnov with a p-value."""
    found = compared(drawn(300, 1), drawn(250, 2))["prompt_tokens"]
    assert (found.reference_rows, found.window_rows) == (300, 250)
    psi, divergence, smirnov = found.figures
    assert psi.statistic is DriftStatistic.PSI
    assert divergence.statistic is DriftStatistic.JENSEN_SHANNON
    assert smirnov.statistic is DriftStatistic.KOLMOGOROV_SMIRNOV
    assert None not in (psi.low, psi.high, divergence.low, divergence.high, smirnov.p_value)


def test_every_feature_is_told_of() -> None:
    """In the order of their names, texts only where they are kept."""
    both = columns(drawn(200, 1)), columns(drawn(200, 2))
    bare = [each.feature for each in compare(*both, floor=FLOOR)]
    kept = compare(*both, floor=FLOOR, texts=Texts(reference=[], window=[]))
    assert bare == sorted(name for name, kind in KINDS.items() if kind is not FeatureKind.TEXT)
    assert [each.feature for each in kept] == sorted(KINDS)


def test_an_incomplete_reference_has_no_figures() -> None:
    """It says how many rows are to come, the window's among them."""
    found = compared(drawn(150, 1), [])["body_bytes"]
    assert (found.state, found.rows_needed, found.figures) == (DriftState.TOO_FEW, 250, [])
    assert found.reason == "The reference has 150 of 200 rows; 250 more to go."


def test_a_window_under_the_floor_has_no_figures() -> None:
    """It says how many rows are to come."""
    found = compared(drawn(200, 1), drawn(199, 2))["body_bytes"]
    assert (found.state, found.rows_needed, found.figures) == (DriftState.TOO_FEW, 1, [])
    assert "199 rows with a value, 200 are needed" in found.reason


def test_a_reference_without_enough_values_never_has_a_figure() -> None:
    """It is fixed: no number of rows would help, and none is named."""
    found = compared(drawn(200, 1), drawn(400, 2))["temperature"]
    assert (found.state, found.rows_needed) == (DriftState.TOO_FEW, None)
    assert "this version gets no figure" in found.reason


def test_nothing_compared_is_too_few_and_not_steady() -> None:
    """No data is never healthy."""
    assert worst(compare(columns([]), columns([]), floor=FLOOR)) is DriftState.TOO_FEW


def test_one_figure_makes_a_version_steady() -> None:
    """Features with too few rows do not hide those with enough."""
    assert worst(list(compared(drawn(300, 1), drawn(300, 2)).values())) is DriftState.STEADY


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e300, 0.7])
def test_odd_columns_are_compared(odd: float) -> None:
    """All NaN, infinite, huge, constant: a state for each, and never an error."""
    before = [row(features={"temperature": odd}) for _ in range(200)]
    after = [row(features={"temperature": 0.1}) for _ in range(200)]
    found = compared(before, after)["temperature"]
    expected = DriftState.TOO_FEW if math.isnan(odd) else DriftState.ACT
    assert found.state is expected


def test_all_new_categories_are_to_be_acted_upon() -> None:
    """Every request goes to an endpoint that the reference never saw."""
    now = [row(endpoint="messages") for _ in range(200)]
    assert compared([row() for _ in range(200)], now)["endpoint"].state is DriftState.ACT


def test_a_field_that_is_sent_no_more_is_found() -> None:
    """Whether a temperature is sent is a feature beside its value."""
    before = [row(features={"temperature": 0.5, "has_system": 1.0}) for _ in range(200)]
    found = compared(before, [row(features={"has_system": 0.0}) for _ in range(200)])
    assert found["temperature_sent"].state is DriftState.ACT
    assert found["has_system"].state is DriftState.ACT


def texts_compared(before: list[Words], now: list[Words]) -> dict[str, FeatureDrift]:
    """Return the features of texts."""
    rows = columns(drawn(200, 1)), columns(drawn(200, 2))
    return named(compare(*rows, floor=FLOOR, texts=Texts(reference=before, window=now)))


def test_other_words_are_to_be_acted_upon() -> None:
    """Prompts on another subject, from as many units."""
    found = texts_compared(words(300, units=100), words(300, "my tax form {}", units=100))
    assert found["prompt_text"].state is DriftState.ACT
    assert found["prompt_text"].figures[0].statistic is DriftStatistic.CLASSIFIER_AUC


def test_the_same_words_are_steady() -> None:
    """And empty texts do not count."""
    found = texts_compared(words(400), words(440))
    assert found["prompt_text"].state is DriftState.STEADY
    assert (found["answer_text"].reference_rows, found["answer_text"].window_rows) == (200, 220)


def test_texts_of_too_few_units_have_no_figure() -> None:
    """It says why."""
    found = texts_compared(words(300, units=2), words(300, units=3))["prompt_text"]
    assert (found.state, found.figures) == (DriftState.TOO_FEW, [])
    assert "too few units" in found.reason


def test_too_few_texts_have_no_figure() -> None:
    """The reference of texts is what is kept of it."""
    assert texts_compared(words(150), words(300))["prompt_text"].state is DriftState.TOO_FEW


def test_an_auc_that_may_be_chance_says_so() -> None:
    """Few units on each side: the interval reaches down to a half."""
    found = texts_compared(words(300, units=6), words(300, "{} parcel where", units=6))
    assert found["prompt_text"].state is DriftState.STEADY
    assert "its interval reaches down to" in found["prompt_text"].reason
