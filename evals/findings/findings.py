"""Every finding of one exam, what each says in a sentence, and the limits it is held against.

It refuses to know the verdict.
"""

from collections.abc import Iterator

import msgspec

from evals.compare import BASELINES, Difference, differences
from evals.findings.behaviour import Behaviour, find_behaviour, limit_behaviour
from evals.findings.evidence import Evidence
from evals.findings.gap import Gap, find_gaps, limit_gap
from evals.findings.leakage import Leaks
from evals.findings.losses import Losses, find_losses
from evals.findings.memorisation import Memorisation, find_memorisation
from evals.findings.returns import Returns, find_returns
from evals.findings.segments import Segment, find_segments
from evals.intervals import Estimate
from evals.limits import ROUNDING, Condition, Standing
from registry.records import Record


class Leakage(Record, frozen=True, kw_only=True):
    """Examined rows that were trained on, and what is left without them."""

    leaks: Leaks
    """The rows."""
    share: float
    """Share of the examined rows that stand in the training file, but for case and spacing."""
    without: list[Difference]
    """The adapter against each baseline on the primary metric, without all leaked rows."""


class Findings(Record, frozen=True, kw_only=True):
    """What an exam shows beside its verdict; none for what could not be looked at."""

    gaps: list[Gap] | None
    """Training rows against held-out rows, by metric."""
    memorisation: Memorisation | None
    """What the adapter says by heart."""
    leakage: Leakage | None
    """Examined rows that were trained on."""
    behaviour: Behaviour | None
    """What changed in tasks that have nothing to do with the fine-tuning."""
    segments: list[Segment] | None
    """Segments, worst first."""
    losses: Losses | None
    """Rows that the adapter lost."""
    returns: Returns | None
    """What it saves, and when its training has paid."""
    conditions: list[Condition]
    """Limits of the policy, and whether they hold."""
    sentences: list[str]
    """What is worth a reader's attention, in words."""


def find(evidence: Evidence) -> Findings:
    """Return every finding."""
    baseline = _better_baseline(evidence)
    gaps = find_gaps(evidence)
    behaviour, leakage = find_behaviour(evidence), _leakage(evidence)
    found = Findings(
        gaps=gaps,
        memorisation=find_memorisation(evidence),
        leakage=leakage,
        behaviour=behaviour,
        segments=find_segments(evidence, baseline),
        losses=find_losses(evidence, baseline),
        returns=find_returns(evidence),
        conditions=[
            *limit_behaviour(evidence.policy, behaviour),
            *limit_gap(evidence, gaps),
            *_limit_leakage(evidence, leakage),
        ],
        sentences=[],
    )
    return msgspec.structs.replace(found, sentences=list(_sentences(evidence, found)))


def _better_baseline(evidence: Evidence) -> str:
    """Return the arm that must be beaten and leaves the smaller gain on the primary metric."""
    suite, primary = evidence.heldout, evidence.policy.primary_metric
    kind = suite.kinds.get(primary)
    sign = 1 if kind is None or kind.higher_is_better else -1
    known = [
        each
        for each in suite.differences
        if each.metric == primary
        and each.estimate is not None
        and each.baseline in evidence.policy.must_beat
    ]
    found = min(known, key=lambda each: sign * (each.estimate or 0.0), default=None)
    return BASELINES[0] if found is None else found.baseline


def _leakage(evidence: Evidence) -> Leakage | None:
    leaks, suite, policy = evidence.leaks, evidence.heldout, evidence.policy
    if leaks is None:
        return None
    kind = suite.kinds.get(policy.primary_metric)
    without = []
    if leaks.rows and kind is not None:
        without = differences(
            suite.scores,
            {policy.primary_metric: kind},
            [arm for arm in suite.scores if arm in policy.must_beat],
            alpha=policy.alpha,
            seed=policy.seed,
            clusters=suite.clusters,
            rows=suite.targets.keys() - leaks.rows,
        )
    share = len(leaks.exact) / leaks.examined if leaks.examined else 0.0
    return Leakage(leaks=leaks, share=share, without=without)


def _limit_leakage(evidence: Evidence, found: Leakage | None) -> list[Condition]:
    """Hold the leaked share against its limit: a verdict on rows that were learned is none."""
    limit = evidence.policy.max_leaked_share
    if found is None or limit is None:
        return []
    count, examined = len(found.leaks.exact), found.leaks.examined
    held = found.share <= limit
    most = f"{100 * limit:g} %"
    words = f"; the policy allows {most}" if held else f", more than the policy allows ({most})"
    return [
        Condition(
            name="max_leaked_share",
            standing=Standing.HELD if held else Standing.OPEN,
            sentence=f"{count} of {examined} examined rows stand in the training file{words}"
            f"{_without(found)}.",
        )
    ]


def _without(found: Leakage) -> str:
    known = [each for each in found.without if each.estimate is not None]
    worst = min(known, key=lambda each: abs(each.estimate or 0.0), default=None)
    if worst is None:
        return ""
    figures = _interval(worst.estimate, worst.low, worst.high, worst.n)
    return f"; without them the difference in {worst.metric} is {figures}"


def _sentences(evidence: Evidence, found: Findings) -> Iterator[str]:
    for gap in found.gaps or []:
        if _is_above_zero(gap.overfit):
            yield (
                f"Overfitting: on training rows {gap.metric} is better than on held-out rows by "
                f"{_told(gap.adapter)}, and by {_told(gap.beyond_base)} beyond what the base "
                "model's own gap explains."
            )
    if found.memorisation is not None and found.memorisation.is_shown:
        yield _memorised(found.memorisation)
    if found.leakage is not None and found.leakage.leaks.rows:
        leaks = found.leakage.leaks
        yield (
            f"Leakage: of {leaks.examined} examined rows {len(leaks.exact)} stand in the training "
            f"file and {len(leaks.near)} nearly do{_without(found.leakage)}."
        )
    for segment in found.segments or []:
        if _is_worse(evidence, segment.difference):
            each = segment.difference
            figures = _interval(each.estimate, each.low, each.high, each.n)
            yield f"Worse in the segment '{segment.segment}': {each.metric} changes by {figures}."
    if found.returns is not None:
        yield _paid(found.returns)


def _memorised(found: Memorisation) -> str:
    parts = []
    if found.canaries.n:
        parts.append(f"{_told(found.canaries)} of the planted rows are reproduced")
    if found.attack.mean is not None:
        parts.append(f"its losses tell training rows apart with probability {_told(found.attack)}")
    return f"Memorised: {' and '.join(parts)}."


def _is_worse(evidence: Evidence, each: Difference) -> bool:
    kind = evidence.heldout.kinds[each.metric]
    sign = 1 if kind.higher_is_better else -1
    return (
        each.p_adjusted is not None
        and each.p_adjusted < evidence.policy.alpha
        and sign * (each.estimate or 0.0) < 0
    )


def _paid(found: Returns) -> str:
    saved = f"The adapter saves {_told(found.tokens_saved)} prompt tokens a request"
    if found.saved_per_million_requests is None or found.training_cost is None:
        return f"{saved} against '{found.against}'."
    if found.requests_to_pay is None:
        return f"{saved} against '{found.against}', and its training never pays at these prices."
    most = "never" if found.requests_high is None else f"{found.requests_high:,}"
    return (
        f"{saved} against '{found.against}'; its training has paid after "
        f"{found.requests_to_pay:,} requests ({found.requests_low or 0:,} to {most})."
    )


def _is_above_zero(found: Estimate) -> bool:
    return found.low is not None and found.low > ROUNDING


def _told(found: Estimate) -> str:
    return _interval(found.mean, found.low, found.high, found.n)


def _interval(mean: float | None, low: float | None, high: float | None, n: int) -> str:
    if mean is None:
        return "unknown"
    bounds = "no interval" if low is None or high is None else f"{low:.4g} to {high:.4g}"
    return f"{mean:.4g} ({bounds}, n = {n})"
