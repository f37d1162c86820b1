"""What the adapter does to tasks that have nothing to do with it, against its base model.

It refuses to know how well a model should do: only changes count.
"""

from collections.abc import Mapping

from evals.compare import ArmName
from evals.findings.evidence import Evidence, SuiteEvidence
from evals.findings.shares import mean, share
from evals.intervals import Estimate
from evals.limits import Condition, upper_limit
from evals.suites.suite import BEHAVIOUR
from registry.evaluation_options import LOSS
from registry.policy import Policy
from registry.records import Record

SHOWN = 20
"""Flips shown."""
_RIGHT = 0.5  # a row's score from which its answer counts as right


class Flip(Record, frozen=True, kw_only=True):
    """One answer that was right and is wrong now, or the reverse."""

    row: int
    """Row number in the suite, from 0."""
    prompt: str
    """What was asked."""
    target: str
    """The right answer."""
    base: str
    """What the base model answers."""
    adapter: str
    """What the adapter answers."""
    is_broken: bool
    """Whether it was right and is wrong now."""


class Behaviour(Record, frozen=True, kw_only=True):
    """How unrelated behaviour changed."""

    broken: Estimate
    """Share of the rows that the base answers rightly and the adapter does not."""
    mended: Estimate
    """Share of the rows the other way round."""
    changed: Estimate
    """Share of the rows whose answers differ at all."""
    divergence: Estimate
    """Mean log-probability that the right answers lost against the base, in nats a token; where
    those answers are the base model's own it estimates the Kullback–Leibler divergence."""
    flips: list[Flip]
    """Examples, broken ones first."""


def find_behaviour(evidence: Evidence) -> Behaviour | None:
    """Return how behaviour changed; none without that suite."""
    suite = evidence.suites.get(BEHAVIOUR)
    if suite is None:
        return None
    policy = evidence.policy
    base, adapter = _right(suite, ArmName.BASE, policy), _right(suite, ArmName.ADAPTER, policy)
    both = sorted(base.keys() & adapter.keys())
    broken = [row for row in both if base[row] and not adapter[row]]
    mended = [row for row in both if adapter[row] and not base[row]]
    said = suite.outputs.get(ArmName.BASE, {}), suite.outputs.get(ArmName.ADAPTER, {})
    answered = said[0].keys() & said[1].keys()
    changed = {row: said[0][row].strip() != said[1][row].strip() for row in sorted(answered)}
    return Behaviour(
        broken=share({row: row in set(broken) for row in both}, suite, policy),
        mended=share({row: row in set(mended) for row in both}, suite, policy),
        changed=share(changed, suite, policy),
        divergence=_divergence(suite, policy),
        flips=[
            _flip(suite, row, is_broken=row in set(broken))
            for row in [*broken, *mended][:SHOWN]
            if row in answered
        ],
    )


def limit_behaviour(policy: Policy, found: Behaviour | None) -> list[Condition]:
    """Hold the changes against the policy's limits; without the suite there is nothing to hold."""
    if found is None:
        return []
    conditions = []
    if policy.max_broken_share is not None:
        what = "The share of unrelated answers that were right and are wrong now"
        limit = policy.max_broken_share
        conditions.append(upper_limit("max_broken_share", what, found.broken, limit))
    if policy.max_behaviour_divergence is not None:
        what = "The log-probability that unrelated answers lost, in nats a token,"
        limit = policy.max_behaviour_divergence
        conditions.append(upper_limit("max_behaviour_divergence", what, found.divergence, limit))
    return conditions


def _right(suite: SuiteEvidence, arm: str, policy: Policy) -> dict[int, bool]:
    """Return whether each row is right, by the first metric that it has a score for."""
    scores: Mapping[str, Mapping[int, float]] = suite.scores.get(arm, {})
    binary = [metric for metric, kind in suite.kinds.items() if kind.binary]
    chosen = dict.fromkeys(["score", policy.primary_metric, "exact_match", *binary])
    found: dict[int, bool] = {}
    for metric in chosen:
        kind = suite.kinds.get(metric)
        if kind is None or kind.unit != "share" or not kind.higher_is_better:
            continue
        for row, value in scores.get(metric, {}).items():
            found.setdefault(row, value >= _RIGHT)
    return found


def _divergence(suite: SuiteEvidence, policy: Policy) -> Estimate:
    base = suite.scores.get(ArmName.BASE, {}).get(LOSS, {})
    adapter = suite.scores.get(ArmName.ADAPTER, {}).get(LOSS, {})
    lost = {row: adapter[row] - base[row] for row in sorted(base.keys() & adapter.keys())}
    return mean(lost, suite, policy)


def _flip(suite: SuiteEvidence, row: int, *, is_broken: bool) -> Flip:
    return Flip(
        row=row,
        prompt=suite.prompts.get(row, ""),
        target=suite.targets.get(row, ""),
        base=suite.outputs[ArmName.BASE][row],
        adapter=suite.outputs[ArmName.ADAPTER][row],
        is_broken=is_broken,
    )
