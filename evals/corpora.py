"""Figures of a whole suite by arm, and the adapter's beside each other arm's, row by row resampled.

It refuses to know figures that are means of rows: `evals.compare` has those.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evals import resampling
from evals.clusters import groups_of
from evals.compare import ArmName
from evals.intervals import Estimate
from evals.scorers.corpus_bleu import corpus_bleu, counts_of
from evals.shapes import RowKind, Shape
from registry.policy import Policy
from registry.records import EvaluationRow, Record

BLEU = "corpus_bleu"


class CorpusDifference(Record, frozen=True, kw_only=True):
    """The adapter's figure minus another arm's, on the rows that both answered."""

    metric: str
    """`corpus_bleu`."""
    baseline: str
    """The other arm."""
    estimate: Estimate
    """The difference: both arms are resampled on the same rows."""


class Corpus(Record, frozen=True, kw_only=True):
    """What a suite shows as a whole."""

    bleu: dict[str, Estimate]
    """BLEU by arm; empty where the targets are no texts."""
    differences: list[CorpusDifference]
    """The adapter against each other arm."""


def corpus_of(
    answers: Sequence[EvaluationRow],
    targets: Mapping[int, str],
    clusters: Mapping[int, str],
    shape: Shape,
    policy: Policy,
) -> Corpus:
    """Return what a suite's answers show as a whole.

    Args:
        answers: Of every arm.
        targets: The right answers by row.
        clusters: The cluster of each row.
        shape: What the targets are.
        policy: Level and seed.
    """
    if shape.other != RowKind.TEXT:
        return Corpus(bleu={}, differences=[])
    counts = _counts_by_arm(answers, targets, shape)

    def estimated(rows: Sequence[int], figure: Callable[[resampling.Places], float]) -> Estimate:
        return resampling.estimate(
            figure,
            len(rows),
            alpha=policy.alpha,
            seed=policy.seed,
            groups=groups_of(rows, clusters),
        )

    def bleu(arm: str) -> Estimate:
        table = np.array(list(counts[arm].values()))
        return estimated(list(counts[arm]), lambda places: corpus_bleu(table[places]))

    def difference(arm: str) -> Estimate:
        ours, theirs = counts[ArmName.ADAPTER], counts[arm]
        rows = sorted(ours.keys() & theirs.keys())
        mine, other = (np.array([table[row] for row in rows]) for table in (ours, theirs))
        return estimated(
            rows, lambda places: corpus_bleu(mine[places]) - corpus_bleu(other[places])
        )

    others = sorted(counts.keys() - {ArmName.ADAPTER}) if ArmName.ADAPTER in counts else []
    return Corpus(
        bleu={arm: bleu(arm) for arm in counts},
        differences=[
            CorpusDifference(metric=BLEU, baseline=arm, estimate=difference(arm)) for arm in others
        ],
    )


def _counts_by_arm(
    answers: Sequence[EvaluationRow], targets: Mapping[int, str], shape: Shape
) -> dict[str, dict[int, NDArray[np.int64]]]:
    """Return the counts of the answers to rows whose targets are texts, by arm and row."""
    said: dict[str, dict[int, str]] = {}
    for answer in sorted(answers, key=lambda answer: answer.row):
        if answer.output is not None and shape.kind_of(targets[answer.row]) == RowKind.TEXT:
            said.setdefault(answer.arm, {})[answer.row] = answer.output
    return {
        arm: dict(
            zip(texts, counts_of([*texts.values()], [targets[row] for row in texts]), strict=True)
        )
        for arm, texts in said.items()
    }
