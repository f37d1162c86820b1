"""ROUGE-L: the longest sequence of words that answer and target share, in order.

It refuses to know meaning.
"""

import re

from rouge_score.rouge_scorer import RougeScorer

from evals.scorers.rowwise import RowMetric

_WORD = re.compile(r"\w+")


class _Words:
    """Words of every script; rouge-score's own tokenizer knows only a to z."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text in lower case."""
        return _WORD.findall(text.lower())


_SCORER = RougeScorer(["rougeL"], tokenizer=_Words())


class RougeL(RowMetric):
    """The row's F-measure of ROUGE-L, from 0 to 1."""

    key = "rouge_l"
    summary = "Mean F-measure of ROUGE-L of answer and target, from 0 to 1."
    citation = "Lin, ACL 2004 workshop, aclanthology.org/W04-1013"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return the F-measure from 0 to 1."""
        return float(_SCORER.score(target, answer)["rougeL"].fmeasure)
