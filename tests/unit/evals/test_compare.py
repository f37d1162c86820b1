"""The adapter against each baseline, on the rows that both have scores for."""

import pytest

from evals.compare import Difference, MetricKind, compare, summarise

SHARE = MetricKind(higher_is_better=True, unit="share", rows=4, binary=True, comparison="")
NATS = MetricKind(higher_is_better=False, unit="nats", rows=4, binary=False, comparison="")
KINDS = {"exact_match": SHARE, "loss": NATS}
RIGHT = dict.fromkeys(range(4), 1.0)
WRONG = dict.fromkeys(range(4), 0.0)
LOSSES = {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}
HIGHER = {0: 1.1, 1: 1.3, 2: 1.2, 3: 1.6}


def _compare(**arms: dict[str, dict[int, float]]) -> dict[tuple[str, str], Difference]:
    found = compare(arms, KINDS, alpha=0.05, seed=0)
    return {(difference.metric, difference.baseline): difference for difference in found}


def test_differences_are_adapter_minus_baseline() -> None:
    """Better answers give a positive difference, a lower loss a negative one."""
    found = _compare(
        adapter={"exact_match": RIGHT, "loss": LOSSES}, base={"exact_match": WRONG, "loss": HIGHER}
    )
    assert found["exact_match", "base"].estimate == 1
    assert found["loss", "base"].estimate == pytest.approx(-1.05)


def test_only_shared_rows_are_paired() -> None:
    """A row that one side has no score for is left out of the difference."""
    found = _compare(
        adapter={"exact_match": {0: 1.0, 1: 1.0}}, base={"exact_match": {1: 0.0, 2: 1.0}}
    )
    assert (found["exact_match", "base"].n, found["exact_match", "base"].estimate) == (1, 1.0)


def test_nothing_shared_is_unknown() -> None:
    """Without a shared row there is neither estimate nor p-value."""
    found = _compare(adapter={"exact_match": RIGHT}, base={})
    for metric in KINDS:
        difference = found[metric, "base"]
        assert (difference.estimate, difference.p_value, difference.p_adjusted) == (None,) * 3


def test_absent_arm_has_no_difference() -> None:
    """An arm that was not examined is not compared with."""
    found = _compare(adapter={"exact_match": RIGHT}, base={"exact_match": WRONG})
    assert {baseline for _, baseline in found} == {"base"}


def test_p_values_are_adjusted_over_all_differences() -> None:
    """The family of Holm's correction is every difference of the evaluation."""
    adapter = {"exact_match": RIGHT, "loss": LOSSES}
    found = _compare(
        adapter=adapter,
        base={"exact_match": WRONG, "loss": HIGHER},
        few_shot={"exact_match": WRONG, "loss": HIGHER},
    )
    assert found["exact_match", "base"].p_value == pytest.approx(0.125)
    assert found["exact_match", "base"].p_adjusted == pytest.approx(0.5)


def test_methods_are_named() -> None:
    """Each difference names its interval and its test."""
    found = _compare(
        adapter={"exact_match": RIGHT, "loss": LOSSES}, base={"exact_match": WRONG, "loss": HIGHER}
    )
    assert found["exact_match", "base"].method == "Tango score; exact McNemar"
    assert found["loss", "base"].method == "BCa bootstrap; sign-flip permutation"


def test_arms_are_summarised() -> None:
    """Each arm has an estimate of each metric, also of one without a score."""
    found = summarise({"base": {"exact_match": RIGHT}}, KINDS, alpha=0.05, seed=0)
    assert found["base"]["exact_match"].mean == 1
    assert found["base"]["loss"].mean is None
