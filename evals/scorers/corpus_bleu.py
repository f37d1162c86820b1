"""BLEU of a whole corpus: n-grams are counted over all rows before they are compared.

It refuses to score a row: that is `sentence_bleu`, whose mean is another figure.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU

_METRIC = BLEU(effective_order=True)  # speaks of no order that a row has not; counts are the same
_ORDERS = 4


class CorpusBleu(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """BLEU by sacrebleu (13a tokens, exponential smoothing), from 0 to 1."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="BLEU of all rows together, from 0 to 1.",
            citation="Post, WMT 2018, doi:10.18653/v1/W18-6319",
            inputs_description="predictions, references: texts",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        return {"corpus_bleu": corpus_bleu(counts_of(predictions, references))}


def counts_of(answers: Sequence[str], targets: Sequence[str]) -> NDArray[np.int64]:
    """Return what BLEU needs of each row.

    Returns:
        Shape (rows, 10): both lengths in tokens, then matching and all n-grams of orders 1 to 4.
    """
    found = (
        _METRIC.sentence_score(answer, [target])
        for answer, target in zip(answers, targets, strict=True)
    )
    rows = [[each.sys_len, each.ref_len, *each.counts, *each.totals] for each in found]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 2 + 2 * _ORDERS)


def corpus_bleu(counts: NDArray[np.int64]) -> float:
    """Return the BLEU of rows together, from 0 to 1.

    Args:
        counts: As `counts_of` returns them; a row may stand there more than once.
    """
    sums = [int(value) for value in counts.sum(axis=0)]
    found = BLEU.compute_bleu(
        correct=sums[2 : 2 + _ORDERS],
        total=sums[2 + _ORDERS :],
        sys_len=sums[0],
        ref_len=sums[1],
        smooth_method="exp",
    )
    return float(found.score) / 100
