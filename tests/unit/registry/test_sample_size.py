"""Rows that show an effect, and effects that rows show, against published values."""

from typing import Any

import pytest

from registry import sample_size
from registry.errors import Invalid
from registry.sample_size import Design, Outcome, Question


def _plan(**fields: Any) -> sample_size.Plan:
    return sample_size.plan(Question(**fields))


def _paired(**fields: Any) -> sample_size.Plan:
    return _plan(outcome=Outcome.CONTINUOUS, **fields)


def _arms(**fields: Any) -> sample_size.Plan:
    return _plan(design=Design.INDEPENDENT, **fields)


def test_paired_reference() -> None:
    """A variance of 1/9 and an effect of 0.03 need 969 rows at 80 % power."""
    assert _paired(variance=1 / 9, effect=0.03).rows == 969


def test_independent_reference() -> None:
    """From 0.10 to 0.11 in two arms takes 14,744 rows each, by Cohen's arcsine."""
    found = _arms(rate=0.10, effect=0.01)
    assert (found.rows, found.rows_in_all) == (14_744, 29_488)


def test_the_reverse_gives_the_effect_back() -> None:
    """969 rows show an effect of 0.03."""
    assert _paired(variance=1 / 9, rows=969).effect == pytest.approx(0.03, abs=1e-5)


def test_the_reverse_of_two_arms() -> None:
    """14,744 rows in each arm show a step from 0.10 to 0.11."""
    assert _arms(rate=0.10, rows=14_744).effect == pytest.approx(0.01, abs=1e-6)


def test_discordant_rows_are_what_counts() -> None:
    """With a tenth of the rows discordant, 0.03 takes z² (0.1 - 0.0009) / 0.0009 rows."""
    assert _plan(discordant_share=0.1, effect=0.03).rows == 864


@pytest.mark.parametrize("fields", [{"discordant_share": 0.1}, {"rate": 0.4}, {}])
def test_paired_shares_go_both_ways(fields: dict[str, float]) -> None:
    """The effect that the planned rows show is the effect they were planned for."""
    rows = _plan(effect=0.05, **fields).rows
    assert _plan(rows=rows, **fields).effect == pytest.approx(0.05, abs=2e-4)


def test_clusters_take_more_rows() -> None:
    """Five rows a cluster with correlation 0.5 triple the rows."""
    found = _paired(variance=1 / 9, effect=0.03, cluster_rows=5, cluster_correlation=0.5)
    assert (found.design_effect, found.rows, found.clusters) == (3.0, 2907, 582)


def test_repeated_answers_take_fewer_rows() -> None:
    """The variance of answers is divided by how many are averaged."""
    one = _paired(variance=0.1, answer_variance=0.1, effect=0.1).rows
    many = _paired(variance=0.1, answer_variance=0.1, answers=10, effect=0.1).rows
    assert (one, many) == (235, 94)


def test_two_arms_of_a_given_variance() -> None:
    """Each arm needs twice the paired rows of the same variance."""
    assert _arms(outcome=Outcome.CONTINUOUS, variance=1 / 9, effect=0.03).rows == 1938


def test_a_fall_can_be_planned() -> None:
    """An effect below 0 is a fall from the rate, and is told without its sign."""
    found = _arms(rate=0.11, effect=-0.01)
    assert (found.rows, found.effect) == (14_744, 0.01)


def test_assumptions_are_told() -> None:
    """What was not said is named."""
    assert len(_plan(effect=0.05, cluster_rows=3).assumptions) == 2
    assert "discordant_share" in _plan(effect=0.05, rate=0.5).assumptions[0]
    assert not _plan(effect=0.05, discordant_share=0.2).assumptions


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "effect"),
        ({"effect": 0.1, "rows": 10}, "effect"),
        ({"effect": 0.0}, "effect"),
        ({"rows": 1}, "rows"),
        ({"effect": 0.1, "alpha": 1.0}, "alpha"),
        ({"effect": 0.1, "power": 0.0}, "power"),
        ({"effect": 0.1, "power": 0.02}, "power"),
        ({"effect": 0.1, "cluster_rows": 0.5}, "cluster_rows"),
        ({"effect": 0.1, "cluster_correlation": 2}, "cluster_correlation"),
        ({"effect": 0.1, "answers": 0}, "answers"),
        ({"effect": 0.1, "answer_variance": -1.0}, "answer_variance"),
        ({"effect": 0.1, "variance": 1.0}, "variance"),
        ({"effect": 0.1, "rate": 0.95}, "effect"),
        ({"effect": 0.1, "rate": 0.0}, "rate"),
        ({"effect": 0.1, "discordant_share": 0.0}, "discordant_share"),
        ({"effect": 0.1, "discordant_share": 0.05}, "effect"),
        ({"effect": 1e-9}, "effect"),
        ({"rows": 3}, "rows"),
        ({"outcome": "continuous", "effect": 0.1}, "variance"),
        ({"outcome": "continuous", "effect": 0.1, "variance": 1.0, "rate": 0.5}, "rate"),
        ({"design": "independent", "effect": 0.1}, "rate"),
        ({"design": "independent", "rows": 2, "rate": 0.9}, "rows"),
        ({"design": "independent", "rate": 0.5, "effect": 0.1, "answers": 2}, "answers"),
        (
            {"design": "independent", "rate": 0.5, "effect": 0.1, "discordant_share": 0.3},
            "discordant_share",
        ),
    ],
)
def test_a_question_at_fault_names_its_field(fields: dict[str, Any], param: str) -> None:
    """What is missing, contradictory or out of range is said, with the field."""
    words = {"design": Design, "outcome": Outcome}
    chosen = {
        name: words[name](value) if name in words else value for name, value in fields.items()
    }
    with pytest.raises(Invalid) as caught:
        _plan(**chosen)
    assert caught.value.param == param


@pytest.mark.parametrize(("variance", "effect"), [(0.0, 0.1), (0.1, 0.0)])
def test_no_rows_without_spread_or_effect(variance: float, effect: float) -> None:
    """Without spread or distance no number of rows can be computed."""
    assert sample_size.rows_for(variance, effect, 0.05) is None


def test_rows_without_discordance_bound_the_difference() -> None:
    """190 rows that agree exclude a difference of 0.02: z² / (n + z²) is below it; 188 do not."""
    assert sample_size.rows_without_discordance(0.02, 0.05) == 190
    assert sample_size.rows_without_discordance(0.0, 0.05) is None


def test_rows_for_reference() -> None:
    """A variance of 1/9 and an effect of 0.03 need 969 rows at 80 % power."""
    assert sample_size.rows_for(1 / 9, 0.03, 0.05) == 969
