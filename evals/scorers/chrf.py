"""chrF: how many character n-grams answer and target share.

It refuses to know words.
"""

from sacrebleu.metrics.chrf import CHRF

from evals.scorers.rowwise import RowMetric

_METRIC = CHRF()


class ChrF(RowMetric):
    """The row's chrF2 (sacrebleu's default), from 0 to 1."""

    key = "chrf"
    summary = "Mean chrF2 of answer and target, from 0 to 1."
    citation = "Popović, WMT 2015, doi:10.18653/v1/W15-3049"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return chrF2 from 0 to 1."""
        return float(_METRIC.sentence_score(answer, [target]).score) / 100
