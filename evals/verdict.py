"""The verdict, by the rule of the policy, fixed before the run.

It refuses to know how differences were measured. The rule, in the order in which it is applied:

0. No verdict at all when an arm lacks the primary score on more than `max_unscored_share` of the
   rows: what was lost says nothing about the adapter, so a verdict is refused.
1. `inconclusive` when the primary metric does not apply, or when fewer than `min_rows` rows are
   paired; rows of one cluster count once.
2. `no_go` when a guardrail is broken (the upper bound of the gain is below minus its margin), or a
   limit is (the whole interval lies beyond it): behaviour, or the gap to the training rows.
3. `no_go` when the upper bound of the primary gain is below `smallest_effect`.
4. `go` when the lower bound of the primary gain is above `smallest_effect`, the lower bound of
   every guardrail's gain is above minus its margin, every limit holds over its whole interval, and
   no more examined rows than allowed stand in the training file.
5. `inconclusive` otherwise, with the rows that would decide it, where they can be computed.

A gain is adapter minus baseline, turned so that more is better, with its 1 - alpha interval; the
baseline of each metric is the one that leaves the smaller gain among those that the policy says
must be beaten. All conditions of `go` must hold together (an intersection–union test: Berger,
Technometrics 24 (1982) 295, doi:10.1080/00401706.1982.10487790), so none needs a correction:
without any real gain, `go` comes with a probability of about alpha / 2 at most. Loss is
information, unless the policy names it.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from evals.compare import PROMPT_ARMS, ArmName, Difference, MetricKind
from evals.intervals import Estimate
from evals.limits import Condition, Standing
from registry.policy import Policy
from registry.records import Record, Verdict
from registry.sample_size import rows_for, rows_without_discordance

_LABELS: Mapping[str, str] = {
    ArmName.BASE: "the base model with the bare prompt",
    ArmName.FEW_SHOT: "the base model with the few-shot prompt",
    ArmName.NEAREST: "the base model with the most similar examples",
    ArmName.INSTRUCTION: "the base model with the instruction",
    ArmName.PRODUCTION: "the version in production",
}


class Refusal(StrEnum):
    """Why an exam allows no verdict at all."""

    TOO_MANY_UNSCORED = "too_many_unscored"
    """More rows of an arm are unscored than the policy allows."""


class Decision(Record, frozen=True, kw_only=True):
    """A verdict and why."""

    verdict: Verdict | None
    """What is concluded; none when a verdict is refused."""
    reasons: list[str]
    """Why, in sentences; the first one decides."""
    primary_metric: str
    """The metric that decided."""
    baseline: str
    """The better baseline on the primary metric."""
    rows_needed: int | None = None
    """Further rows that would decide it, for `inconclusive`, where they can be computed."""
    refusal: Refusal | None = None
    """Why there is no verdict; none where there is one."""


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
    variance: float | None
    """Variance of the rows' gains, times the design effect of their clusters; none when unknown."""
    clusters: int | None = None
    """Clusters behind it; none where every row stands for itself."""

    def __str__(self) -> str:
        told = f"{self.estimate:+.4g} ({self.low:+.4g} to {self.high:+.4g}, n = {self.n}"
        return f"{told})" if self.clusters is None else f"{told} in {self.clusters} clusters)"


class _Outcome(Record, frozen=True, kw_only=True):
    verdict: Verdict
    reasons: list[str]
    rows_needed: int | None = None


def decide(
    policy: Policy,
    kinds: Mapping[str, MetricKind],
    arms: Mapping[str, Mapping[str, Estimate]],
    differences: Sequence[Difference],
    conditions: Sequence[Condition] = (),
) -> Decision:
    """Apply the rule.

    Args:
        policy: The rule's numbers.
        kinds: The metrics that apply to the exam.
        arms: Each arm's estimates by metric.
        differences: The adapter against each baseline.
        conditions: The limits that the findings were held against.
    """
    primary = policy.primary_metric
    relevant = [each for each in differences if each.baseline in policy.must_beat]
    smallest = {metric: _smallest_gain(metric, kinds[metric], relevant) for metric in kinds}
    gain = smallest.get(primary)
    unscored = _unscored(policy, kinds, arms)
    if unscored:
        return Decision(
            verdict=None,
            reasons=unscored,
            primary_metric=primary,
            baseline=gain.baseline if gain else ArmName.BASE,
            refusal=Refusal.TOO_MANY_UNSCORED,
        )
    fault = _fault(policy, kinds, gain)
    if fault is not None or gain is None:
        return Decision(
            verdict=Verdict.INCONCLUSIVE,
            reasons=fault.reasons if fault else [],
            primary_metric=primary,
            baseline=gain.baseline if gain else ArmName.BASE,
            rows_needed=fault.rows_needed if fault else None,
        )
    guards = {
        metric: smallest[metric]
        for metric in policy.guardrails
        if metric in kinds and metric != primary
    }
    found = _rule(policy, gain, guards, conditions)
    gains = _gains(primary, kinds[primary], relevant)
    return Decision(
        verdict=found.verdict,
        reasons=[*found.reasons, *_prompt_would_do(policy, gains)],
        primary_metric=primary,
        baseline=gain.baseline,
        rows_needed=found.rows_needed,
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
        variance=None
        if difference.variance is None
        else difference.variance * difference.design_effect,
        clusters=difference.clusters,
    )


def label(arm: str) -> str:
    """Return what a reader calls an arm."""
    return _LABELS.get(arm, f"'{arm}'")


def _gains(metric: str, kind: MetricKind, differences: Sequence[Difference]) -> list[Gain]:
    found = (gain_of(d, kind) for d in differences if d.metric == metric)
    return [gain for gain in found if gain is not None]


def _smallest_gain(metric: str, kind: MetricKind, differences: Sequence[Difference]) -> Gain | None:
    gains = _gains(metric, kind, differences)
    return min(gains, key=lambda gain: (gain.estimate, gain.low), default=None)


def _unscored(
    policy: Policy,
    kinds: Mapping[str, MetricKind],
    arms: Mapping[str, Mapping[str, Estimate]],
) -> list[str]:
    """Return a sentence for each arm that lacks the primary score on too many rows."""
    primary = policy.primary_metric
    if primary not in kinds:
        return []
    rows = kinds[primary].rows
    return [
        f"{arm}: {rows - estimates[primary].n} of {rows} rows have no {primary} "
        f"(at most {policy.max_unscored_share:.0%} may lack it)."
        for arm, estimates in arms.items()
        if (arm == ArmName.ADAPTER or arm in policy.must_beat)
        and rows - estimates[primary].n > policy.max_unscored_share * rows
    ]


def _fault(policy: Policy, kinds: Mapping[str, MetricKind], gain: Gain | None) -> _Outcome | None:
    """Return why no verdict but `inconclusive` is possible."""
    primary = policy.primary_metric
    if primary not in kinds:
        known = ", ".join(sorted(kinds))
        reason = f"The primary metric '{primary}' does not apply to these rows; {known} do."
        return _open([reason])
    paired = 0 if gain is None else gain.n if gain.clusters is None else gain.clusters
    if paired >= policy.min_rows:
        return None
    missing = policy.min_rows - paired
    what = "are scored on both sides"
    if gain is not None and gain.clusters is not None:
        what = f"clusters of rows {what}"
    asked = f"{paired} {what}, the policy asks for {policy.min_rows}"
    return _open([f"Too few rows: {asked}; at least {missing} more are needed."], missing)


def _open(reasons: list[str], rows_needed: int | None = None) -> _Outcome:
    return _Outcome(verdict=Verdict.INCONCLUSIVE, reasons=reasons, rows_needed=rows_needed)


def _rule(
    policy: Policy,
    gain: Gain,
    guards: Mapping[str, Gain | None],
    conditions: Sequence[Condition],
) -> _Outcome:
    """Return verdict and reasons by steps 2 to 5 of the rule."""
    primary, least = policy.primary_metric, policy.smallest_effect
    broken = [
        f"{metric} got worse by more than {policy.guardrails[metric]:g}: {_against(guard)}."
        for metric, guard in guards.items()
        if guard is not None and guard.high < -policy.guardrails[metric]
    ]
    broken += [each.sentence for each in conditions if each.standing is Standing.BROKEN]
    if broken:
        return _Outcome(verdict=Verdict.NO_GO, reasons=broken)
    told = f"the gain in {primary} is {_against(gain)}"
    if gain.high < least:
        reason = f"Too small to matter: {told}, below {least:g}."
        return _Outcome(verdict=Verdict.NO_GO, reasons=[reason])
    undecided = _undecided_guards(policy, guards)
    undecided += [each.sentence for each in conditions if each.standing is Standing.OPEN]
    if gain.low > least:
        if not undecided:
            reason = f"Better: {told}, above {least:g}."
            return _Outcome(verdict=Verdict.GO, reasons=[reason])
        return _open([*undecided, f"Better otherwise: {told}, above {least:g}."])
    more = _more_rows(gain, gain.estimate - least, policy.alpha)
    reason = f"Undecided: {told}, around {least:g}. {_rows_sentence(more)}"
    return _open([reason, *undecided], more)


def _undecided_guards(policy: Policy, guards: Mapping[str, Gain | None]) -> list[str]:
    reasons = []
    for metric, guard in guards.items():
        margin = policy.guardrails[metric]
        if guard is None:
            reasons.append(f"The guardrail {metric} could not be measured.")
        elif guard.low <= -margin:
            more = _more_rows(guard, guard.estimate + margin, policy.alpha)
            reasons.append(
                f"The guardrail {metric} may be worse by more than {margin:g}: "
                f"{_against(guard)}. {_rows_sentence(more)}"
            )
    return reasons


def _more_rows(gain: Gain, distance: float, alpha: float) -> int | None:
    if gain.variance is None:
        return None
    if gain.variance > 0:
        rows = rows_for(gain.variance, distance, alpha)
    else:  # both answered every row alike
        rows = rows_without_discordance(distance, alpha)
    return None if rows is None else max(rows - gain.n, 1)


def _rows_sentence(more: int | None) -> str:
    if more is None:
        return "How many rows would decide it cannot be computed from these."
    return f"If the gain is as measured, about {more} more rows would decide it."


def _prompt_would_do(policy: Policy, gains: Sequence[Gain]) -> list[str]:
    """Return a sentence when a better prompt alone is what the adapter fails to beat."""
    by_arm = {gain.baseline: gain for gain in gains}
    base = by_arm.get(ArmName.BASE)
    prompts = [by_arm[arm] for arm in PROMPT_ARMS if arm in by_arm]
    best = min(prompts, key=lambda gain: (gain.estimate, gain.low), default=None)
    if best is None or best.low > policy.smallest_effect:
        return []
    if base is not None and (base.estimate, base.low) <= (best.estimate, best.low):
        return []  # the bare prompt does as well
    if best.high < policy.smallest_effect:
        return [f"A prompt would do: {label(best.baseline)} is as good."]
    if base is not None and base.low > policy.smallest_effect:
        beaten = f"whether the adapter beats {label(best.baseline)} is undecided"
        return [f"A prompt may do: {beaten}."]
    return []


def _against(gain: Gain) -> str:
    return f"{gain} over {label(gain.baseline)}"
