"""Loss on the target: how much the model is surprised by the right answer.

It refuses to know what the model would have written itself.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate


class Loss(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """Mean negative log-probability of the target's tokens, in nats, the end of turn included.

    The loss over rows is the mean of the rows' means, so that a long row counts as one row.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Nats per target token.",
            citation="",
            inputs_description="predictions: log-probabilities of each row's target tokens",
            features=datasets.Features(
                {"predictions": datasets.Sequence(datasets.Value("float64"))}
            ),
        )

    def _compute(self, predictions: list[list[float]]) -> dict[str, Any]:
        scores = [self.row(logprobs) for logprobs in predictions]
        return {"loss": sum(scores) / len(scores), "scores": scores}

    @staticmethod
    def row(logprobs: Sequence[float]) -> float:
        """Return the mean of one row, in nats a token."""
        return -sum(logprobs) / len(logprobs)
