"""A batch of answers as scores, and which metrics apply to a suite.

It refuses to know arms and statistics.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from evals.compare import MetricKind
from evals.markings import Marking, marking_of
from evals.metric_table import TEXT_METRICS, TextMetric
from evals.scorers.calibration import brier
from evals.scorers.exact_match import ExactMatch
from evals.scorers.loss import Loss
from evals.scorers.normalised_match import NormalisedMatch
from evals.scorers.refusal import Refusal
from evals.shapes import RowKind, Shape, shape_of
from registry.chatdata import Row
from registry.evaluation_options import LOSS
from registry.records import Record

SCORE = "score"
"""The metric of a suite whose rows say how they are scored."""
CONFIDENCE = "confidence"
"""How sure a model was of its answer, stored beside the scores; a figure of its own, no metric."""
PROMPT_TOKENS = "prompt_tokens"
"""Tokens before the answer, stored likewise."""


class Answer(Record, frozen=True, kw_only=True):
    """What one arm answered to one row."""

    arm: str
    """Who answered."""
    number: int
    """Row number in the suite's file, from 0."""
    target: str
    """The right answer."""
    output: str | None
    """The arm's answer; none when there is none."""
    logprobs: list[float] | None
    """Log-probability of each target token, in nats; none when it could not be measured."""
    error: str | None
    """Why something is missing."""
    suite: str = "heldout"
    """The suite of the row."""
    confidence: float | None = None
    """Probability that the model gave its own answer, where it was asked for."""
    prompt_tokens: int | None = None
    """Tokens before the answer; none when it was not asked."""


class Scheme(Record, frozen=True, kw_only=True):
    """How a suite is scored."""

    shape: Shape
    """What its targets are."""
    markings: dict[int, Marking] | None = None
    """The rows' own metrics by number, where the suite's rows may name them."""
    has_loss: bool = True
    """Whether the loss on the targets is measured."""


def scheme_of(
    rows: Mapping[int, Row],
    targets: Mapping[int, str],
    *,
    by_row: bool,
    has_loss: bool = True,
) -> Scheme:
    """Return how a suite is scored.

    Args:
        rows: Its rows, by number.
        targets: Their right answers.
        by_row: Whether a row may name its metric.
        has_loss: Whether the loss on the targets is measured.
    """
    marked = {number: marking_of(row) for number, row in rows.items()} if by_row else {}
    said = {number: marking for number, marking in marked.items() if marking is not None}
    return Scheme(shape=shape_of(targets.values()), markings=said or None, has_loss=has_loss)


def score(
    answers: Sequence[Answer],
    schemes: Mapping[str, Scheme] | None = None,
    metrics: Sequence[TextMetric] = TEXT_METRICS,
) -> list[dict[str, float]]:
    """Return each answer's scores by metric; what could not be computed is absent, never 0.

    Args:
        answers: The answers.
        schemes: How each suite is scored; one without is scored by the shape of these answers.
        metrics: Every metric there is.
    """
    known = schemes or {}
    other = Scheme(shape=shape_of(answer.target for answer in answers))
    chosen = [known.get(answer.suite, other) for answer in answers]
    kinds = [
        scheme.shape.kind_of(answer.target) for answer, scheme in zip(answers, chosen, strict=True)
    ]
    scores: list[dict[str, float]] = [{} for _ in answers]
    for metric in metrics:
        places = [
            place
            for place, (answer, kind) in enumerate(zip(answers, kinds, strict=True))
            if answer.output is not None and kind in metric.fits
        ]
        found = metric.batch(
            [answers[place].output or "" for place in places],
            [answers[place].target for place in places],
            [{} for _ in places],
        )
        for place, value in zip(places, found, strict=True):
            if value is not None:
                scores[place][metric.key] = value
    by_key = {metric.key: metric for metric in metrics}
    for answer, scheme, row in zip(answers, chosen, scores, strict=True):
        row.update(_more(answer, scheme, by_key))
    return scores


def _more(answer: Answer, scheme: Scheme, metrics: Mapping[str, TextMetric]) -> dict[str, float]:
    """Return the scores that need more than the text: loss, calibration, the row's own metric."""
    found: dict[str, float] = {}
    if answer.logprobs:
        found[LOSS] = Loss.row(answer.logprobs)
    if answer.prompt_tokens is not None:
        found[PROMPT_TOKENS] = answer.prompt_tokens
    if answer.output is None:
        return found
    if answer.confidence is not None:
        right = NormalisedMatch.row(answer.output, answer.target)
        found |= {"brier": brier(answer.confidence, right), CONFIDENCE: answer.confidence}
    if scheme.markings is not None:
        value = _own_score(answer, scheme.markings.get(answer.number), metrics)
        found |= {} if value is None else {SCORE: value}
    return found


def _own_score(
    answer: Answer, marking: Marking | None, metrics: Mapping[str, TextMetric]
) -> float | None:
    """Return a row's score by its own metric, turned so that more is better.

    A row that names refusals is right when the answer refuses just as the target does.
    """
    output = answer.output or ""
    if marking is None:
        return ExactMatch.row(output, answer.target)
    if marking.metric == Refusal.key:
        return float(Refusal.row(output) == Refusal.row(answer.target))
    metric = metrics[marking.metric]
    value = metric.row(output, answer.target, **marking.options)
    return value if value is None or metric.higher_is_better else 1 - min(value, 1.0)


def metric_kinds(
    targets: Iterable[str], metrics: Sequence[TextMetric] = TEXT_METRICS
) -> dict[str, MetricKind]:
    """Return the metrics that apply to rows with these targets."""
    return kinds_of(Scheme(shape=shape_of(targets)), metrics)


def kinds_of(scheme: Scheme, metrics: Sequence[TextMetric] = TEXT_METRICS) -> dict[str, MetricKind]:
    """Return the metrics that apply to a suite."""
    shape = scheme.shape
    of_kind = dict.fromkeys(RowKind, 0) | {shape.other: shape.rows - shape.json_rows}
    of_kind[RowKind.JSON] = shape.json_rows
    loss = {LOSS: _loss_kind(shape.rows)} if scheme.has_loss else {}
    if scheme.markings is not None:
        return {SCORE: _score_kind(scheme)} | loss
    kinds: dict[str, MetricKind] = {}
    for metric in metrics:
        rows = sum(of_kind[kind] for kind in metric.fits)
        if rows:
            kinds[metric.key] = _kind(metric, rows)
    how = _comparison(shape.rows, shape.json_rows)
    exact = msgspec.structs.replace(kinds.pop("exact_match"), comparison=how)
    kinds = {"exact_match": exact, **loss, **kinds}
    if asks_confidence(scheme):
        kinds["brier"] = _brier_kind(of_kind[RowKind.LABEL])
    return kinds


def asks_confidence(scheme: Scheme) -> bool:
    """Return whether the models are asked how sure they are: where answers form a set."""
    return scheme.markings is None and scheme.shape.other == RowKind.LABEL


def _kind(metric: TextMetric, rows: int) -> MetricKind:
    return MetricKind(
        higher_is_better=metric.higher_is_better,
        unit=metric.unit,
        rows=rows,
        binary=metric.binary,
        comparison=metric.comparison,
    )


def _loss_kind(rows: int) -> MetricKind:
    return MetricKind(
        higher_is_better=False,
        unit="nats per token",
        rows=rows,
        binary=False,
        comparison="mean over rows of the mean negative log-probability of the target's tokens,"
        " end of turn included",
    )


def _brier_kind(rows: int) -> MetricKind:
    return MetricKind(
        higher_is_better=False,
        unit="squared probability",
        rows=rows,
        binary=False,
        comparison="squared distance of the answer's probability from 1 where it is right, else "
        "from 0",
    )


def _score_kind(scheme: Scheme) -> MetricKind:
    marked = scheme.markings or {}
    names = [marking.metric for marking in marked.values()]
    counts = [f"{names.count(name)} by {name}" for name in sorted(set(names))]
    rest = scheme.shape.rows - len(marked)
    return MetricKind(
        higher_is_better=True,
        unit="share",
        rows=scheme.shape.rows,
        binary=False,
        comparison="each row by its own metric: "
        + ", ".join([*counts, *([f"{rest} by exact_match"] if rest else [])]),
    )


def _comparison(rows: int, json_rows: int) -> str:
    as_json = "as JSON values (order of keys and white space do not count)"
    as_text = "as texts without the white space around them"
    if json_rows == rows:
        return as_json
    return f"{json_rows} rows {as_json}, the others {as_text}" if json_rows else as_text
