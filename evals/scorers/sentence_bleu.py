"""Sentence BLEU: how many word n-grams one answer and its target share.

It refuses to know meaning, and the other rows: `corpus_bleu` counts over all of them.
"""

from collections.abc import Sequence

from sacrebleu.metrics.bleu import BLEU

from evals.scorers.corpus_bleu import ORDERS, counts_of
from evals.scorers.rowwise import RowMetric

_METRIC = BLEU(effective_order=True)


class SentenceBleu(RowMetric):
    """The row's BLEU by sacrebleu (13a tokens, effective order), from 0 to 1.

    The mean over rows is not the BLEU of the whole corpus.
    """

    key = "sentence_bleu"
    summary = "Mean sentence BLEU of answer and target, from 0 to 1."
    citation = "Post, WMT 2018, doi:10.18653/v1/W18-6319"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return BLEU from 0 to 1."""
        return float(_METRIC.sentence_score(answer, [target]).score) / 100

    @staticmethod
    def rows(answers: Sequence[str], targets: Sequence[str]) -> list[float]:
        """Return what `row` returns of each row, to the last bit, several times as fast."""
        found = (
            BLEU.compute_bleu(
                correct=counts[2 : 2 + ORDERS],
                total=counts[2 + ORDERS :],
                sys_len=counts[0],
                ref_len=counts[1],
                smooth_method="exp",
                effective_order=True,
            )
            for counts in counts_of(answers, targets).tolist()
        )
        return [float(each.score) / 100 for each in found]
