"""Repetition: how much of the answer it said before.

It refuses to know the target: a model that goes round in circles is seen without it.
"""

from evals.scorers.rowwise import RowMetric

_WORDS = 4


class Repetition(RowMetric):
    """Share of the answer's runs of four words that occurred in it before; 0 for short answers."""

    key = "repetition"
    summary = "Mean share of four-word runs that an answer repeats."
    needs_reference = False

    @staticmethod
    def row(answer: str, target: str = "") -> float:
        """Return a share from 0 to below 1."""
        del target
        words = answer.split()
        runs = [tuple(words[at : at + _WORDS]) for at in range(len(words) - _WORDS + 1)]
        return 1 - len(set(runs)) / len(runs) if runs else 0.0
