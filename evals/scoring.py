"""A batch of answers as scores, and which metrics apply to a file.

It refuses to know arms and statistics.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from evals.compare import MetricKind
from evals.scorers.exact_match import ExactMatch
from evals.scorers.json_valid import JsonValid
from evals.scorers.jsontext import is_structure
from evals.scorers.loss import Loss
from registry.records import Record


class Answer(Record, frozen=True, kw_only=True):
    """What one arm answered to one row."""

    arm: str
    """`base`, `few_shot` or `adapter`."""
    number: int
    """Row number in the held-out file, from 0."""
    target: str
    """The right answer."""
    output: str | None
    """The arm's answer; none when there is none."""
    logprobs: list[float] | None
    """Log-probability of each target token, in nats; none when it could not be measured."""
    error: str | None
    """Why something is missing."""


def score(answers: Sequence[Answer]) -> list[dict[str, float]]:
    """Return each answer's scores by metric; what could not be computed is absent, never 0."""
    scores: list[dict[str, float]] = [{} for _ in answers]
    given = [(i, a.output, a.target) for i, a in enumerate(answers) if a.output is not None]
    structured = [(i, output) for i, output, target in given if is_structure(target)]
    measured = [(i, a.logprobs) for i, a in enumerate(answers) if a.logprobs]
    if given:
        _fill(
            scores,
            [i for i, _, _ in given],
            "exact_match",
            _memory(ExactMatch).compute(
                predictions=[output for _, output, _ in given],
                references=[target for _, _, target in given],
            ),
        )
    if structured:
        found = _memory(JsonValid).compute(predictions=[output for _, output in structured])
        _fill(scores, [i for i, _ in structured], "json_valid", found)
    if measured:
        found = _memory(Loss).compute(predictions=[logprobs for _, logprobs in measured])
        _fill(scores, [i for i, _ in measured], "loss", found)
    return scores


def metric_kinds(targets: Iterable[str]) -> dict[str, MetricKind]:
    """Return the metrics that apply to rows with these targets."""
    structured = [is_structure(target) for target in targets]
    rows, json_rows = len(structured), sum(structured)
    kinds = {
        "exact_match": MetricKind(
            higher_is_better=True,
            unit="share",
            rows=rows,
            binary=True,
            comparison=_comparison(rows, json_rows),
        ),
        "loss": MetricKind(
            higher_is_better=False,
            unit="nats per token",
            rows=rows,
            binary=False,
            comparison="mean over rows of the mean negative log-probability of the target's tokens,"
            " end of turn included",
        ),
    }
    if json_rows:
        kinds["json_valid"] = MetricKind(
            higher_is_better=True,
            unit="share",
            rows=json_rows,
            binary=True,
            comparison="the whole answer is JSON; asked where the target is a JSON object or array",
        )
    return kinds


def _comparison(rows: int, json_rows: int) -> str:
    as_json = "as JSON values (order of keys and white space do not count)"
    as_text = "as texts without the white space around them"
    if json_rows == rows:
        return as_json
    return f"{json_rows} rows {as_json}, the others {as_text}" if json_rows else as_text


def _fill(
    scores: list[dict[str, float]], places: list[int], metric: str, found: dict[str, Any]
) -> None:
    for place, value in zip(places, found["scores"], strict=True):
        scores[place][metric] = value


def _memory(metric: type[Any]) -> Any:  # noqa: ANN401 - evaluate ships no types
    return metric(keep_in_memory=True)
