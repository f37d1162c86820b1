"""chrF: how many character n-grams answer and target share.

It refuses to know words.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.chrf import CHRF

from evals.ngrams import Symbols, shared_ngrams
from evals.scorers.rowwise import RowMetric

_METRIC = CHRF()
_ORDERS = CHRF.CHAR_ORDER
_RECALL = int(CHRF.BETA) ** 2  # the weight of recall beside precision's 1
Counts = NDArray[np.int64]


class ChrF(RowMetric):
    """The row's chrF2 (sacrebleu's default), from 0 to 1."""

    key = "chrf"
    summary = "Mean chrF2 of answer and target, from 0 to 1."
    citation = "Popović, WMT 2015, doi:10.18653/v1/W15-3049"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return chrF2 from 0 to 1."""
        return float(_METRIC.sentence_score(answer, [target]).score) / 100

    @staticmethod
    def rows(answers: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Return what `row` returns of each row, to the last bit, several times as fast."""
        pairs = [(_symbols(a), _symbols(t)) for a, t in zip(answers, targets, strict=True)]
        lengths = np.array([[len(each) for each in pair] for pair in pairs]).reshape(-1, 2, 1)
        totals = np.maximum(lengths - np.arange(_ORDERS), 0)
        scores = _f_scores(shared_ngrams(pairs, _ORDERS), totals[:, 0], totals[:, 1])
        return [float(score) for score in 100 * scores / 100]  # there and back, as sacrebleu's


def _f_scores(shared: Counts, said: Counts, wanted: Counts) -> NDArray[np.float64]:
    """Return chrF2 of each row, the sums in sacrebleu's order.

    Args:
        shared: N-grams of answer and target by order, shape (rows, orders).
        said: All of the answer's, likewise.
        wanted: All of the target's, likewise.
    """
    counts = (said > 0) & (wanted > 0)
    orders = np.maximum(counts.sum(axis=1), 1)
    precision = _in_turn(shared / np.where(counts, said, 1)) / orders
    recall = _in_turn(shared / np.where(counts, wanted, 1)) / orders
    below = _RECALL * precision + recall
    scores: NDArray[np.float64] = (1 + _RECALL) * precision * recall / np.where(below > 0, below, 1)
    return scores


def _in_turn(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's sum from left to right; `sum` adds in another order."""
    return np.cumsum(values, axis=1)[:, -1]


def _symbols(text: str) -> Symbols:
    """Return a text's characters but white space, as numbers."""
    codes = "".join(text.split()).encode("utf-32-le", "surrogatepass")
    return np.frombuffer(codes, np.uint32).astype(np.int64)
