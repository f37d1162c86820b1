"""Calibration: whether the model is right as often as it is sure.

It refuses to know answers: only how sure the model was, and whether it was right.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from registry.records import Record

BINS = 10
"""Bins of equal width, from 0 to 1."""


class Bin(Record, frozen=True, kw_only=True):
    """Rows of which the model was about equally sure."""

    low: float
    """Least confidence."""
    high: float
    """Most confidence."""
    n: int
    """Rows in it."""
    confidence: float
    """Their mean confidence."""
    accuracy: float
    """Share that was right."""


class Calibration(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """Expected calibration error and Brier score of the probability given to the answer.

    Sources: Guo et al., ICML 2017, arXiv 1706.04599; Brier, Monthly Weather Review 78 (1950) 1,
    doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Calibration error, Brier score and reliability of confidences.",
            citation="arXiv 1706.04599",
            inputs_description="predictions: confidences from 0 to 1; references: right (1) or not",
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions: list[float], references: list[float]) -> dict[str, Any]:
        scores = [brier(sure, right) for sure, right in zip(predictions, references, strict=True)]
        return {
            "ece": calibration_error(predictions, references),
            "brier": sum(scores) / len(scores),
            "scores": scores,
        }


def brier(confidence: float, right: float) -> float:
    """Return the squared distance of confidence and outcome."""
    return (confidence - right) ** 2


def reliability(confidences: Sequence[float], right: Sequence[float]) -> list[Bin]:
    """Return the bins that have rows, from the least sure to the surest."""
    places = [min(int(sure * BINS), BINS - 1) for sure in confidences]
    bins = []
    for place in range(BINS):
        rows = [row for row, found in enumerate(places) if found == place]
        if rows:
            bins.append(
                Bin(
                    low=place / BINS,
                    high=(place + 1) / BINS,
                    n=len(rows),
                    confidence=sum(confidences[row] for row in rows) / len(rows),
                    accuracy=sum(right[row] for row in rows) / len(rows),
                )
            )
    return bins


def calibration_error(confidences: Sequence[float], right: Sequence[float]) -> float:
    """Return the mean distance of confidence and accuracy over the bins, weighted by rows."""
    bins = reliability(confidences, right)
    return sum(each.n * abs(each.confidence - each.accuracy) for each in bins) / len(confidences)
