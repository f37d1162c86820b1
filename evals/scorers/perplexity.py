"""Perplexity on the target: the loss, as a number of equally likely tokens.

It refuses to know anything that the loss does not.
"""

import math
from typing import Any

import datasets
import evaluate

from evals.scorers.loss import Loss

_LARGEST = 700.0  # beyond it exp() overflows


class Perplexity(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """exp(loss), of each row and of the mean of the rows' losses."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Equally likely tokens a target token.",
            citation="",
            inputs_description="predictions: log-probabilities of each row's target tokens",
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64"))}
            ),
        )

    def _compute(self, predictions: list[list[float]]) -> dict[str, Any]:
        losses = [Loss.row(logprobs) for logprobs in predictions]
        mean = sum(losses) / len(losses)
        return {"perplexity": perplexity(mean), "scores": [perplexity(loss) for loss in losses]}


def perplexity(loss: float) -> float:
    """Return exp(loss), the loss in nats a token."""
    return math.exp(min(loss, _LARGEST))
