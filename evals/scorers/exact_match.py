"""Exact match: the answer is the target, whole.

It refuses partial credit.
"""

from typing import Any

import datasets
import evaluate

from evals.scorers.jsontext import canonical


class ExactMatch(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """1 where answer and target are equal after normalisation, else 0.

    JSON objects and arrays are compared as values (order of keys and white space do not count),
    all other texts without the white space around them.
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Share of answers that equal their target.",
            citation="",
            inputs_description="predictions, references: texts",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        pairs = zip(predictions, references, strict=True)
        scores = [float(canonical(answer) == canonical(target)) for answer, target in pairs]
        return {"exact_match": sum(scores) / len(scores), "scores": scores}
