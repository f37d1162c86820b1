"""ROUGE-L: the longest sequence of words that answer and target share, in order.

It refuses to know meaning.
"""

import re

from rapidfuzz.distance import LCSseq

from evals.scorers.rowwise import RowMetric

_WORD = re.compile(r"\w+")  # of every script


class RougeL(RowMetric):
    """The row's F-measure of ROUGE-L, from 0 to 1."""

    key = "rouge_l"
    summary = "Mean F-measure of ROUGE-L of answer and target, from 0 to 1."
    citation = "Lin, ACL 2004 workshop, aclanthology.org/W04-1013"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return the F-measure from 0 to 1."""
        said, wanted = _WORD.findall(answer.lower()), _WORD.findall(target.lower())
        shared = LCSseq.similarity(said, wanted)
        if not shared:
            return 0.0
        precision, recall = shared / len(said), shared / len(wanted)
        return 2 * precision * recall / (precision + recall)
