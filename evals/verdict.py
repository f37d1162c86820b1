"""The verdict, by the rule of the policy, fixed before the run.

It refuses to know how differences were measured. The rule, in the order in which it is applied:

1. `inconclusive` when the primary metric does not apply, when an arm lacks the primary score on
   more than `max_unscored_share` of the rows, or when fewer than `min_rows` rows are paired.
2. `no_go` when a guardrail is broken: the upper bound of the gain is below minus its margin.
3. `no_go` when the upper bound of the primary gain is below `smallest_effect`.
4. `go` when the lower bound of the primary gain is above `smallest_effect`, and the lower bound of
   every guardrail's gain is above minus its margin.
5. `inconclusive` otherwise, with the rows that would decide it, where they can be computed.

A gain is adapter minus baseline, turned so that more is better, with its 1 - alpha interval; the
baseline of each metric is the one that leaves the smaller gain. All conditions of `go` must hold
together (an intersection–union test: Berger, Technometrics 24 (1982) 295,
doi:10.1080/00401706.1982.10487790), so none needs a correction: without any real gain, `go` comes
with a probability of about alpha / 2 at most. Loss is information, unless the policy names it.
"""

from collections.abc import Mapping, Sequence

from evals.compare import ArmName, Difference, MetricKind
from evals.intervals import Estimate, rows_needed
from registry.policy import Policy
from registry.records import Record, Verdict

_LABELS: Mapping[str, str] = {
    ArmName.BASE: "the base model with the bare prompt",
    ArmName.FEW_SHOT: "the base model with the few-shot prompt",
    ArmName.NEAREST: "the base model with the most similar examples",
    ArmName.INSTRUCTION: "the base model with the instruction",
    ArmName.PRODUCTION: "the version in production",
}


class Decision(Record, frozen=True, kw_only=True):
    """A verdict and why."""

    verdict: Verdict
    """What is concluded."""
    reasons: list[str]
    """Why, in sentences; the first one decides."""
    primary_metric: str
    """The metric that decided."""
    baseline: str
    """The better baseline on the primary metric."""


class Gain(Record, frozen=True, kw_only=True):
    """How much better the adapter is; more is better, whatever the metric."""

    baseline: str
    """Against whom."""
    estimate: float
    """The mean gain."""
    low: float
    """Lower bound."""
    high: float
    """Upper bound."""
    n: int
    """Rows behind it."""
    variance: float
    """Variance of the rows' gains."""

    def __str__(self) -> str:
        return f"{self.estimate:+.4g} ({self.low:+.4g} to {self.high:+.4g}, n = {self.n})"


def decide(
    policy: Policy,
    kinds: Mapping[str, MetricKind],
    arms: Mapping[str, Mapping[str, Estimate]],
    differences: Sequence[Difference],
) -> Decision:
    """Apply the rule.

    Args:
        policy: The rule's numbers.
        kinds: The metrics that apply to the exam.
        arms: Each arm's estimates by metric.
        differences: The adapter against each baseline.
    """
    primary = policy.primary_metric
    smallest = {metric: _smallest_gain(metric, kinds[metric], differences) for metric in kinds}
    gain = smallest.get(primary)
    faults = _faults(policy, kinds, arms, gain)
    if faults or gain is None:
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            reasons=faults,
            primary_metric=primary,
            baseline=gain.baseline if gain else ArmName.BASE,
        )
    guards = {
        metric: smallest[metric]
        for metric in policy.guardrails
        if metric in kinds and metric != primary
    }
    verdict, reasons = _rule(policy, gain, guards)
    return Decision(
        verdict=verdict,
        reasons=[
            *reasons,
            *_prompt_would_do(policy, gain, _gains(primary, kinds[primary], differences)),
        ],
        primary_metric=primary,
        baseline=gain.baseline,
    )


def gain_of(difference: Difference, kind: MetricKind) -> Gain | None:
    """Return a difference as a gain; none when it has no interval."""
    estimate, low, high = difference.estimate, difference.low, difference.high
    if estimate is None or low is None or high is None:
        return None
    if not kind.higher_is_better:
        estimate, low, high = -estimate, -high, -low
    return Gain(
        baseline=difference.baseline,
        estimate=estimate,
        low=low,
        high=high,
        n=difference.n,
        variance=difference.variance or 0.0,
    )


def _gains(metric: str, kind: MetricKind, differences: Sequence[Difference]) -> list[Gain]:
    found = (gain_of(d, kind) for d in differences if d.metric == metric)
    return [gain for gain in found if gain is not None]


def _smallest_gain(metric: str, kind: MetricKind, differences: Sequence[Difference]) -> Gain | None:
    gains = _gains(metric, kind, differences)
    return min(gains, key=lambda gain: (gain.estimate, gain.low), default=None)


def _faults(
    policy: Policy,
    kinds: Mapping[str, MetricKind],
    arms: Mapping[str, Mapping[str, Estimate]],
    gain: Gain | None,
) -> list[str]:
    """Return why no verdict but `inconclusive` is possible."""
    primary = policy.primary_metric
    if primary not in kinds:
        known = ", ".join(sorted(kinds))
        return [f"The primary metric '{primary}' does not apply to these rows; {known} do."]
    rows = kinds[primary].rows
    unscored = [
        f"{arm}: {rows - estimates[primary].n} of {rows} rows have no {primary} "
        f"(at most {policy.max_unscored_share:.0%} may lack it)."
        for arm, estimates in arms.items()
        if rows - estimates[primary].n > policy.max_unscored_share * rows
    ]
    paired = gain.n if gain else 0
    if unscored or paired >= policy.min_rows:
        return unscored
    missing = policy.min_rows - paired
    asked = f"{paired} are scored on both sides, the policy asks for {policy.min_rows}"
    return [f"Too few rows: {asked}; at least {missing} more are needed."]


def _rule(
    policy: Policy, gain: Gain, guards: Mapping[str, Gain | None]
) -> tuple[Verdict, list[str]]:
    """Return verdict and reasons by steps 2 to 5 of the rule."""
    primary, least = policy.primary_metric, policy.smallest_effect
    broken = [
        f"{metric} got worse by more than {policy.guardrails[metric]:g}: {_against(guard)}."
        for metric, guard in guards.items()
        if guard is not None and guard.high < -policy.guardrails[metric]
    ]
    if broken:
        return Verdict.NO_GO, broken
    told = f"the gain in {primary} is {_against(gain)}"
    if gain.high < least:
        return Verdict.NO_GO, [f"Too small to matter: {told}, below {least:g}."]
    undecided = _undecided_guards(policy, guards)
    if gain.low > least:
        if not undecided:
            return Verdict.GO, [f"Better: {told}, above {least:g}."]
        return Verdict.INCONCLUSIVE, [*undecided, f"Better otherwise: {told}, above {least:g}."]
    more = _rows_sentence(gain, gain.estimate - least, policy.alpha)
    return Verdict.INCONCLUSIVE, [f"Undecided: {told}, around {least:g}. {more}", *undecided]


def _undecided_guards(policy: Policy, guards: Mapping[str, Gain | None]) -> list[str]:
    reasons = []
    for metric, guard in guards.items():
        margin = policy.guardrails[metric]
        if guard is None:
            reasons.append(f"The guardrail {metric} could not be measured.")
        elif guard.low <= -margin:
            more = _rows_sentence(guard, guard.estimate + margin, policy.alpha)
            reasons.append(
                f"The guardrail {metric} may be worse by more than {margin:g}: "
                f"{_against(guard)}. {more}"
            )
    return reasons


def _rows_sentence(gain: Gain, distance: float, alpha: float) -> str:
    rows = rows_needed(gain.variance, distance, alpha)
    if rows is None:
        return "How many rows would decide it cannot be computed from these."
    more = max(rows - gain.n, 1)
    return f"If the gain is as measured, about {more} more rows would decide it."


def _prompt_would_do(policy: Policy, gain: Gain, gains: Sequence[Gain]) -> list[str]:
    """Return a sentence when the few-shot prompt alone is what the adapter fails to beat."""
    beats_base = any(
        other.baseline == ArmName.BASE and other.low > policy.smallest_effect for other in gains
    )
    if gain.baseline != ArmName.FEW_SHOT or gain.low > policy.smallest_effect:
        return []
    if gain.high < policy.smallest_effect:
        return ["A prompt would do: with a few examples the base model is as good."]
    if beats_base:
        return ["A prompt may do: whether the adapter beats the few-shot prompt is undecided."]
    return []


def _against(gain: Gain) -> str:
    return f"{gain} over {_LABELS[gain.baseline]}"
