"""BLEU: how many word n-grams answer and target share.

It refuses to know meaning.
"""

from sacrebleu.metrics.bleu import BLEU

from evals.scorers.rowwise import RowMetric

_METRIC = BLEU(effective_order=True)


class Bleu(RowMetric):
    """The row's BLEU by sacrebleu (13a tokens, effective order), from 0 to 1.

    The mean over rows is not the BLEU of the whole corpus: it pairs with another system's row by
    row, which the corpus' does not.
    """

    key = "bleu"
    summary = "Mean sentence BLEU of answer and target, from 0 to 1."
    citation = "Post, WMT 2018, doi:10.18653/v1/W18-6319"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return BLEU from 0 to 1."""
        return float(_METRIC.sentence_score(answer, [target]).score) / 100
