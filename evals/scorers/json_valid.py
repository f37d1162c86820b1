"""JSON validity: a program could read the answer.

It refuses to know what the answer should have said.
"""

from typing import Any

import datasets
import evaluate

from evals.scorers.jsontext import is_json


class JsonValid(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """1 where the whole answer is JSON, else 0; a fence or a word around it makes it 0."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Share of answers that are JSON.",
            citation="",
            inputs_description="predictions: texts",
            features=datasets.Features({"predictions": datasets.Value("string")}),
        )

    def _compute(self, predictions: list[str]) -> dict[str, Any]:
        scores = [float(is_json(answer)) for answer in predictions]
        return {"json_valid": sum(scores) / len(scores), "scores": scores}
