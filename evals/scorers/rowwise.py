"""What the metrics that score each row by itself have in common.

It refuses to know any of them.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import datasets
import evaluate


class RowMetric(evaluate.Metric):  # type: ignore[misc] # evaluate ships no types
    """A metric whose value is the mean of its rows' scores; a row may have none.

    `compute(predictions=…, references=…)` returns the mean under the metric's name and the rows'
    scores under `scores`, none where a row cannot be scored. Options of `row` are passed on.
    """

    key: ClassVar[str]
    """The metric's name."""
    summary: ClassVar[str]
    """What it measures, in a sentence."""
    citation: ClassVar[str] = ""
    """Where it was published."""
    needs_reference: ClassVar[bool] = True
    """Whether it looks at the target."""
    row: ClassVar[Callable[..., float | None]]
    """Returns one row's score from answer and target; none when it cannot be scored."""

    def _info(self) -> evaluate.MetricInfo:
        names = ["predictions", "references"] if self.needs_reference else ["predictions"]
        return evaluate.MetricInfo(
            description=self.summary,
            citation=self.citation,
            inputs_description=f"{' and '.join(names)}: texts",
            features=datasets.Features({name: datasets.Value("string") for name in names}),
        )

    def _compute(
        self, predictions: list[str], references: list[str] | None = None, **options: object
    ) -> dict[str, Any]:
        targets = [""] * len(predictions) if references is None else references
        pairs = zip(predictions, targets, strict=True)
        scores = [self.row(answer, target, **options) for answer, target in pairs]
        known = [score for score in scores if score is not None]
        return {self.key: sum(known) / len(known) if known else None, "scores": scores}
