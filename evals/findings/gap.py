"""The gap between training and held-out rows: what was learned by heart and not as a rule.

It refuses to know where the rows come from.
"""

from evals.compare import ArmName
from evals.findings.evidence import Evidence, SuiteEvidence
from evals.intervals import Estimate, independent_difference, nothing
from evals.limits import Condition, upper_limit
from evals.suites.suite import HELDOUT, TRAINING
from registry.records import Record


class Gap(Record, frozen=True, kw_only=True):
    """One metric on training rows minus the same on held-out rows; more is better on training."""

    metric: str
    """The metric."""
    adapter: Estimate
    """The adapter's gap."""
    beyond_base: Estimate
    """The adapter's gap minus the base model's, which tells how much easier the training rows are
    by themselves."""

    @property
    def overfit(self) -> Estimate:
        """The lesser of both gaps.

        Neither rows that are easy for everybody nor rows that the base alone finds hard make an
        adapter overfitted.
        """
        return lesser(self.adapter, self.beyond_base)


def find_gaps(evidence: Evidence) -> list[Gap] | None:
    """Return the gap of each metric of both suites; none without training rows."""
    training = evidence.suites.get(TRAINING)
    if training is None or ArmName.ADAPTER not in training.arms:
        return None
    heldout = evidence.heldout
    return [
        Gap(
            metric=metric,
            adapter=_signed(
                independent_difference(
                    training.arms[ArmName.ADAPTER][metric], heldout.arms[ArmName.ADAPTER][metric]
                ),
                higher_is_better=kind.higher_is_better,
            ),
            beyond_base=_signed(
                independent_difference(_gain(training, metric), _gain(heldout, metric)),
                higher_is_better=kind.higher_is_better,
            ),
        )
        for metric, kind in heldout.kinds.items()
        if metric in training.kinds
    ]


def limit_gap(evidence: Evidence, gaps: list[Gap] | None) -> list[Condition]:
    """Hold the primary metric's gap against the policy's limit, where it sets one."""
    limit, primary = evidence.policy.max_gap, evidence.policy.primary_metric
    if limit is None:
        return []
    found = next((gap for gap in gaps or [] if gap.metric == primary), None)
    what = f"The adapter's gap in {primary} between {TRAINING} and {HELDOUT} rows"
    return [upper_limit("max_gap", what, nothing() if found is None else found.overfit, limit)]


def lesser(one: Estimate, other: Estimate) -> Estimate:
    """Estimate the lesser of two quantities: bound by bound.

    The interval's lower end keeps its level (an intersection–union test, as in `evals.verdict`).
    """
    first, second = (one.mean, one.low, one.high), (other.mean, other.low, other.high)
    least = [
        None if a is None or b is None else min(a, b) for a, b in zip(first, second, strict=True)
    ]
    return Estimate(
        mean=least[0],
        low=least[1],
        high=least[2],
        n=min(one.n, other.n),
        method=f"the lesser of two: {one.method}",
    )


def _gain(suite: SuiteEvidence, metric: str) -> Estimate:
    """Return the adapter's paired difference from the base on one suite."""
    for each in suite.differences:
        if each.metric == metric and each.baseline == ArmName.BASE:
            return Estimate(
                mean=each.estimate,
                low=each.low,
                high=each.high,
                n=each.n,
                method=each.method.partition(";")[0],
                clusters=each.clusters,
            )
    return nothing()


def _signed(found: Estimate, *, higher_is_better: bool) -> Estimate:
    if higher_is_better or found.mean is None:
        return found
    return Estimate(
        mean=-found.mean,
        low=None if found.high is None else -found.high,
        high=None if found.low is None else -found.low,
        n=found.n,
        method=found.method,
    )
