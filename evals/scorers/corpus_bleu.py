"""BLEU of a whole corpus: n-grams are counted over all rows before they are compared.

It refuses to score a row: that is `sentence_bleu`, whose mean is another figure.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.bleu import BLEU

from evals.ngrams import Symbols, shared_ngrams

_METRIC = BLEU()
ORDERS = 4


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
    number: dict[str, int] = {}

    @cache
    def numbers(part: str) -> list[int]:
        return [number.setdefault(word, len(number)) for word in _METRIC.tokenizer(part).split()]

    def symbols(text: str) -> Symbols:
        return np.array([each for part in _parts(text) for each in numbers(part)], dtype=np.int64)

    pairs = [(symbols(a), symbols(t)) for a, t in zip(answers, targets, strict=True)]
    lengths = np.array([[len(a), len(t)] for a, t in pairs], dtype=np.int64).reshape(-1, 2)
    totals = np.maximum(lengths[:, :1] - np.arange(ORDERS), 0)
    return np.hstack([lengths, shared_ngrams(pairs, ORDERS), totals])


def _parts(text: str) -> list[str]:
    """Return what sacrebleu splits into the words of the text, piece by piece.

    Its rules see no further than the white space around a piece, but for the ends of lines that
    they take away. A piece comes again and is split once; a text seldom does.
    """
    joins = "-\n" in text.replace("<skipped>", "")
    return [text.rstrip()] if joins else text.split()


def corpus_bleu(counts: NDArray[np.int64]) -> float:
    """Return the BLEU of rows together, from 0 to 1.

    Args:
        counts: As `counts_of` returns them; a row may stand there more than once.
    """
    sums = [int(value) for value in counts.sum(axis=0)]
    found = BLEU.compute_bleu(
        correct=sums[2 : 2 + ORDERS],
        total=sums[2 + ORDERS :],
        sys_len=sums[0],
        ref_len=sums[1],
        smooth_method="exp",
    )
    return float(found.score) / 100
