"""The rule of the verdict, step by step."""

import msgspec
import pytest

from evals.compare import Difference, MetricKind
from evals.intervals import Estimate
from evals.verdict import Decision, Refusal, decide
from registry.policy import Policy
from registry.records import Verdict

SHARE = MetricKind(higher_is_better=True, unit="share", rows=200, binary=True, comparison="")
NATS = MetricKind(higher_is_better=False, unit="nats", rows=200, binary=False, comparison="")
KINDS = {"exact_match": SHARE, "json_valid": SHARE, "loss": NATS}
POLICY = Policy()
SAFE = (-0.01, 0.0, 0.01)


def _estimate(n: int) -> Estimate:
    return Estimate(mean=0.5, low=0.4, high=0.6, n=n, method="")


def _arms(scored: int = 200) -> dict[str, dict[str, Estimate]]:
    return {
        arm: {metric: _estimate(scored) for metric in KINDS}
        for arm in ("base", "few_shot", "adapter")
    }


def _difference(
    metric: str,
    bounds: tuple[float, float, float] | None,
    baseline: str = "base",
    *,
    n: int = 200,
    variance: float | None = 0.2,
) -> Difference:
    low, estimate, high = bounds or (None, None, None)
    return Difference(
        metric=metric,
        baseline=baseline,
        estimate=estimate,
        low=low,
        high=high,
        n=n,
        p_value=None,
        p_adjusted=None,
        variance=variance,
        method="",
    )


def _decide(*differences: Difference, policy: Policy = POLICY, scored: int = 200) -> Decision:
    return decide(policy, KINDS, _arms(scored), differences)


def test_a_clear_gain_is_go() -> None:
    """A lower bound above the smallest effect, with safe guardrails, is `go`."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)), _difference("json_valid", (-0.01, 0.0, 0.01))
    )
    assert found.verdict == Verdict.GO


def test_the_smallest_effect_itself_is_not_enough() -> None:
    """A lower bound that equals the smallest effect does not exceed it."""
    found = _decide(_difference("exact_match", (0.02, 0.1, 0.2)), _difference("json_valid", SAFE))
    assert found.verdict == Verdict.INCONCLUSIVE


def test_a_gain_too_small_to_matter_is_no_go() -> None:
    """An upper bound below the smallest effect is `no_go`."""
    found = _decide(_difference("exact_match", (-0.01, 0.0, 0.01)))
    assert found.verdict == Verdict.NO_GO


def test_a_broken_guardrail_is_no_go() -> None:
    """A guardrail whose upper bound lies below its margin stops the best adapter."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)),
        _difference("json_valid", (-0.2, -0.1, -0.05)),
    )
    assert found.verdict == Verdict.NO_GO
    assert "json_valid got worse" in found.reasons[0]


def test_an_undecided_guardrail_is_inconclusive() -> None:
    """A guardrail that may be worse by more than its margin forbids `go`."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)),
        _difference("json_valid", (-0.05, 0.0, 0.05)),
    )
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "json_valid may be worse" in found.reasons[0]


def test_an_unmeasured_guardrail_is_inconclusive() -> None:
    """A guardrail that applies but has no score is not taken for a safe one."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)), _difference("json_valid", None, n=0)
    )
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "could not be measured" in found.reasons[0]


def test_a_guardrail_that_does_not_apply_is_ignored() -> None:
    """JSON validity is no guardrail where no answer is JSON."""
    kinds = {"exact_match": SHARE}
    arms = {arm: {"exact_match": _estimate(200)} for arm in ("base", "adapter")}
    found = decide(POLICY, kinds, arms, [_difference("exact_match", (0.8, 0.9, 0.95))])
    assert found.verdict == Verdict.GO


def test_undecided_names_the_rows_needed() -> None:
    """An interval around the smallest effect says how many more rows would decide."""
    found = _decide(
        _difference("exact_match", (-0.01, 0.05, 0.11)), _difference("json_valid", SAFE)
    )
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "about 1545 more rows" in found.reasons[0]


def test_undecided_without_spread_names_no_rows() -> None:
    """Where rows needed cannot be computed, that is said."""
    found = _decide(
        _difference("exact_match", (-0.01, 0.05, 0.11), variance=None),
        _difference("json_valid", SAFE),
    )
    assert "cannot be computed" in found.reasons[0]


def test_too_few_rows_are_inconclusive() -> None:
    """Six rows allow no verdict, however clear they look."""
    kinds = {"exact_match": msgspec.structs.replace(SHARE, rows=6)}
    arms = {arm: {"exact_match": _estimate(6)} for arm in ("base", "adapter")}
    found = decide(POLICY, kinds, arms, [_difference("exact_match", (0.5, 1.0, 1.0), n=6)])
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "at least 24 more are needed" in found.reasons[0]


def test_no_rows_are_inconclusive() -> None:
    """Without any paired row the verdict is `inconclusive`, against the base."""
    found = _decide(_difference("exact_match", None, n=0))
    assert (found.verdict, found.baseline) == (Verdict.INCONCLUSIVE, "base")


def test_too_many_unscored_rows_are_refused() -> None:
    """Half of the rows without a score allow no verdict, however clear the others are."""
    found = _decide(_difference("exact_match", (0.8, 0.9, 0.95), n=100), scored=100)
    assert (found.verdict, found.refusal) == (None, Refusal.TOO_MANY_UNSCORED)
    assert "100 of 200 rows have no exact_match" in found.reasons[0]


def test_a_metric_that_does_not_apply_decides_nothing() -> None:
    """A primary metric that these rows do not have is `inconclusive`, and named."""
    found = _decide(policy=Policy(primary_metric="sentence_bleu"))
    assert found.verdict == Verdict.INCONCLUSIVE
    assert "'sentence_bleu' does not apply" in found.reasons[0]


def test_the_better_baseline_decides() -> None:
    """The adapter must beat the baseline that leaves it the smaller gain."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)),
        _difference("exact_match", (0.3, 0.4, 0.5), "few_shot"),
        _difference("json_valid", SAFE),
    )
    assert (found.verdict, found.baseline) == (Verdict.GO, "few_shot")


def test_a_prompt_would_do() -> None:
    """When the few-shot prompt is as good, the verdict says so."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)),
        _difference("exact_match", (-0.02, 0.0, 0.01), "few_shot"),
    )
    assert found.verdict == Verdict.NO_GO
    assert found.reasons[-1].startswith("A prompt would do")


def test_a_prompt_may_do() -> None:
    """When the adapter beats the base but perhaps not the prompt, the verdict says so."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)),
        _difference("exact_match", (-0.02, 0.05, 0.1), "few_shot"),
        _difference("json_valid", SAFE),
    )
    assert found.verdict == Verdict.INCONCLUSIVE
    assert found.reasons[-1].startswith("A prompt may do")


def test_no_word_on_prompts_when_nothing_is_known() -> None:
    """When neither baseline is beaten, a prompt is not recommended."""
    found = _decide(
        _difference("exact_match", (-0.01, 0.06, 0.1)),
        _difference("exact_match", (-0.02, 0.05, 0.1), "few_shot"),
        _difference("json_valid", SAFE),
    )
    assert not any("prompt" in reason for reason in found.reasons[1:])


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [((-0.9, -0.5, -0.3), Verdict.GO), ((0.1, 0.2, 0.3), Verdict.NO_GO)],
)
def test_lower_loss_is_a_gain(bounds: tuple[float, float, float], verdict: Verdict) -> None:
    """With loss as the primary metric, a negative difference is the gain."""
    policy = Policy(primary_metric="loss", guardrails={"loss": 0.1})
    assert _decide(_difference("loss", bounds), policy=policy).verdict == verdict


def test_loss_is_information_only() -> None:
    """A worse loss does not change the default policy's verdict."""
    found = _decide(
        _difference("exact_match", (0.8, 0.9, 0.95)),
        _difference("json_valid", SAFE),
        _difference("loss", (1.0, 2.0, 3.0)),
    )
    assert found.verdict == Verdict.GO
