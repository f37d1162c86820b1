"""Exams whose outcome is planted: rows and answers made up, so that the right verdict is known.

It refuses to know how a verdict is reached.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from evals.compare import MetricKind
from evals.findings.leakage import Leaks
from evals.results import Material, Results, conclude
from registry.chatdata import Row
from registry.policy import Policy
from registry.records import EvaluationRow

SHARE = MetricKind(
    higher_is_better=True, unit="share", rows=0, binary=True, comparison="equal texts"
)
NATS = MetricKind(
    higher_is_better=False, unit="nats per token", rows=0, binary=False, comparison="mean"
)

Right = Callable[[int], bool]
"""Whether an arm answers a row rightly."""
Loss = Callable[[int], float]
"""An arm's loss on a row."""


def every(*, out_of: int, right: int, shift: int = 0) -> Right:
    """Return an arm that answers `right` of each `out_of` rows rightly."""
    return lambda row: (row + shift) % out_of < right


def row(number: int, **marks: Any) -> Row:
    """Return the row of a number."""
    messages = [
        {"role": "user", "content": f"question {number} of the planted exam"},
        {"role": "assistant", "content": f"answer {number}"},
    ]
    return Row(line=number + 1, messages=messages, **marks)


def suite(
    count: int,
    arms: Mapping[str, Right],
    *,
    losses: Mapping[str, Loss] | None = None,
    marks: Callable[[int], dict[str, Any]] = lambda _number: {},
    failing: Callable[[str, int], bool] = lambda _arm, _number: False,
    tokens: Mapping[str, int] | None = None,
    policy: Policy | None = None,
    leaks: Leaks | None = None,
) -> Material:
    """Return a suite of `count` rows as it was answered.

    Args:
        count: Rows.
        arms: Which rows each arm has right.
        losses: Each arm's loss; 1 nat where it is not given.
        marks: What each row says about itself.
        failing: Rows that an arm could not answer.
        tokens: Prompt tokens of each arm's every request.
        policy: The rule of the verdict.
        leaks: What the search for leaks found.
    """
    rows = {number: row(number, **marks(number)) for number in range(count)}
    answers = [
        _answer(arm, number, right(number), (losses or {}).get(arm), (tokens or {}).get(arm))
        if not failing(arm, number)
        else EvaluationRow(
            evaluation_id="eval-1", arm=arm, row=number, output=None, scores={}, error="refused"
        )
        for arm, right in arms.items()
        for number in rows
    ]
    return Material(
        policy=policy or Policy(),
        kinds={
            "exact_match": msgspec.structs.replace(SHARE, rows=count),
            "loss": msgspec.structs.replace(NATS, rows=count),
        },
        arms=list(arms),
        rows=rows,
        targets={number: f"answer {number}" for number in rows},
        answers=answers,
        notes=[],
        leaks=leaks,
    )


def verdict_of(heldout: Material, **others: Material) -> Results:
    """Return the results of an exam with these suites."""
    return conclude(heldout, others)


def _answer(
    arm: str,
    number: int,
    is_right: bool,  # noqa: FBT001 - a row's truth
    loss: Loss | None,
    tokens: int | None,
) -> EvaluationRow:
    scores = {"exact_match": float(is_right), "loss": 1.0 if loss is None else loss(number)}
    if tokens is not None:
        scores["prompt_tokens"] = float(tokens)
    return EvaluationRow(
        evaluation_id="eval-1",
        arm=arm,
        row=number,
        output=f"answer {number}" if is_right else f"{arm} does not know {number}",
        scores=scores,
    )
