"""Evaluations and their rows.

It refuses to know how a verdict is reached.
"""

from typing import Any, Literal

import msgspec

from registry.lifecycle import EvaluationStatus
from registry.records import Evaluation, EvaluationRow, Verdict


class CreateEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A request to examine an adapter version."""

    model: str
    """Name of the adapter version."""
    heldout_file: str | None = None
    """Id of the rows it is examined on; by default those its job held out."""
    training_file: str | None = None
    """Id of the rows the few-shot prompt draws from; by default those it was trained on."""
    policy: dict[str, Any] | None = None
    """Fields of the verdict's rule that differ from the default."""


class EvaluationObject(msgspec.Struct, frozen=True, kw_only=True):
    """A held-out exam."""

    id: str
    """`eval-` and hexadecimal digits."""
    object: Literal["evaluation"] = "evaluation"
    """Always `evaluation`."""
    created_at: int
    """Unix time in seconds."""
    finished_at: int | None
    """Unix time in seconds."""
    model: str
    """Name of the adapter version."""
    heldout_file: str
    """Id of the rows."""
    training_file: str | None
    """Id of the rows the few-shot prompt draws from."""
    policy: dict[str, Any]
    """The rule of the verdict, fixed before the run."""
    status: EvaluationStatus
    """Where it stands."""
    verdict: Verdict | None
    """`go`, `no_go` or `inconclusive`, once it succeeded."""
    results: dict[str, Any] | None
    """Scores by arm, paired differences with intervals, and the reasons of the verdict."""
    error: str | None
    """Why it failed."""


class RowObject(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of one arm."""

    object: Literal["evaluation.row"] = "evaluation.row"
    """Always `evaluation.row`."""
    row: int
    """Row number in the held-out file, from 0."""
    arm: str
    """`base`, `few_shot` or `adapter`."""
    output: str | None
    """The answer; null when the row could not be scored."""
    scores: dict[str, float]
    """Scores by metric; a metric that could not be computed is absent."""
    error: str | None
    """Why the row is unscored."""


def evaluation_object(evaluation: Evaluation) -> EvaluationObject:
    """Return a record as it goes over the wire."""
    return EvaluationObject(
        id=evaluation.id,
        created_at=evaluation.created_at,
        finished_at=evaluation.finished_at,
        model=evaluation.adapter,
        heldout_file=evaluation.heldout_file,
        training_file=evaluation.training_file,
        policy=evaluation.policy,
        status=evaluation.status,
        verdict=evaluation.verdict,
        results=evaluation.results,
        error=evaluation.error,
    )


def row_object(row: EvaluationRow) -> RowObject:
    """Return a record as it goes over the wire."""
    return RowObject(
        row=row.row, arm=row.arm, output=row.output, scores=row.scores, error=row.error
    )
