"""Classification: answers that are one of a set of labels.

It refuses to know rows of any other kind.
"""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate

from evals.scorers.normalised_match import normalised
from registry.records import Record


class ClassFigures(Record, frozen=True, kw_only=True):
    """How well one label is told from the others."""

    label: str
    """The label, normalised."""
    precision: float | None
    """Share of the answers with this label that are right; none when there is no such answer."""
    recall: float
    """Share of the label's rows that are found."""
    f1: float
    """Harmonic mean of both; 0 when the label is never found."""
    n: int
    """Rows with this label."""


class Classification(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """Accuracy, macro F1 and the figures of each label; case and punctuation do not count."""

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy, macro F1, and precision, recall and F1 of each label.",
            citation="",
            inputs_description="predictions, references: labels",
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def _compute(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        found = by_class(predictions, references)
        right = [
            float(normalised(answer) == normalised(target))
            for answer, target in zip(predictions, references, strict=True)
        ]
        return {
            "accuracy": sum(right) / len(right),
            "macro_f1": sum(figures.f1 for figures in found) / len(found),
            "per_class": {figures.label: figures.f1 for figures in found},
            "scores": right,
        }


def by_class(answers: Sequence[str], targets: Sequence[str]) -> list[ClassFigures]:
    """Return each label's figures, the commonest label first."""
    pairs = [(normalised(a), normalised(t)) for a, t in zip(answers, targets, strict=True)]
    wanted = [target for _, target in pairs]
    labels = sorted(set(wanted), key=lambda label: (-wanted.count(label), label))
    return [_figures(label, pairs) for label in labels]


def _figures(label: str, pairs: Sequence[tuple[str, str]]) -> ClassFigures:
    said = sum(answer == label for answer, _ in pairs)
    rows = sum(target == label for _, target in pairs)
    hits = sum(answer == target == label for answer, target in pairs)
    return ClassFigures(
        label=label,
        precision=hits / said if said else None,
        recall=hits / rows,
        f1=2 * hits / (said + rows),
        n=rows,
    )
