"""Rows that the adapter lost to the better baseline, side by side.

It refuses to judge them.
"""

from collections.abc import Mapping

from evals import intervals
from evals.compare import ArmName
from evals.findings.evidence import Evidence
from evals.intervals import Estimate
from registry.records import Record

SHOWN = 20
"""Lost rows shown in full."""


class LostRow(Record, frozen=True, kw_only=True):
    """One row on which the baseline scored better."""

    row: int
    """Row number in the held-out file, from 0."""
    prompt: str
    """What was asked."""
    target: str
    """The right answer."""
    outputs: dict[str, str]
    """What baseline and adapter answered, by arm."""
    scores: dict[str, float]
    """Their primary scores, by arm."""


class Losses(Record, frozen=True, kw_only=True):
    """Where the baseline is better."""

    baseline: str
    """The better baseline."""
    share: Estimate
    """Share of the rows that the adapter lost."""
    rows: list[int]
    """Every lost row's number."""
    shown: list[LostRow]
    """The worst ones in full."""


def find_losses(evidence: Evidence, baseline: str) -> Losses | None:
    """Return the rows that the adapter lost; none when nothing was scored on both sides."""
    suite, primary = evidence.heldout, evidence.policy.primary_metric
    kind = suite.kinds.get(primary)
    ours: Mapping[int, float] = suite.scores.get(ArmName.ADAPTER, {}).get(primary, {})
    theirs: Mapping[int, float] = suite.scores.get(baseline, {}).get(primary, {})
    both = sorted(ours.keys() & theirs.keys())
    if kind is None or not both:
        return None
    sign = 1 if kind.higher_is_better else -1
    gains = {row: sign * (ours[row] - theirs[row]) for row in both}
    lost = [row for row in both if gains[row] < 0]
    worst = sorted(lost, key=lambda row: (gains[row], row))[:SHOWN]
    outputs = {arm: suite.outputs.get(arm, {}) for arm in (baseline, ArmName.ADAPTER)}
    return Losses(
        baseline=baseline,
        share=intervals.proportion(len(lost), len(both), evidence.policy.alpha),
        rows=lost,
        shown=[
            LostRow(
                row=row,
                prompt=suite.prompts.get(row, ""),
                target=suite.targets.get(row, ""),
                outputs={arm: said[row] for arm, said in outputs.items() if row in said},
                scores={baseline: theirs[row], ArmName.ADAPTER: ours[row]},
            )
            for row in worst
        ],
    )
