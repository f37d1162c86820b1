"""Evaluations and their rows.

It refuses to know how a verdict is reached.
"""

from typing import Any, Literal

import msgspec

from registry.evaluation_options import BuiltInSuite, PromptArm
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
    arms: list[PromptArm] | None = None
    """Prompts with training rows that the base model is asked with; `few_shot` by default. Base
    and adapter with the bare prompt are always asked."""
    choose_examples: bool | None = None
    """Whether the number of examples is chosen on training rows; by default the policy has it."""
    instruction: str | None = None
    """An instruction with which the base model is asked once more."""
    deployment: str | None = None
    """Name of the deployment whose stable version is asked too; by default that on which the
    version is on trial."""
    models: list[str] | None = None
    """Further versions or checkpoints, at most four; they decide nothing."""
    suites: list[BuiltInSuite] | None = None
    """Which of `training` and `behaviour` are asked too; both by default."""
    suite_files: list[str] | None = None
    """Ids of files with suites of your own, uploaded with purpose `evals`, at most eight."""
    max_training_rows: int | None = None
    """Most rows of the `training` suite; 50 by default."""
    measure_loss: bool | None = None
    """Whether losses on the right answers are measured too, a request more for each answer; true by
    default."""
    judge: dict[str, Any] | None = None
    """A model that judges answers: `rubric`, perhaps `model`, `baseline`, `max_rows`, `labels`."""
    use_cache: bool | None = None
    """Whether answers that the base model gave to earlier evaluations may be taken; true by
    default."""
    decides: bool | None = None
    """Whether the verdict counts for promotion; true by default."""


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
    options: dict[str, Any]
    """What else is asked, and of whom."""
    status: EvaluationStatus
    """Where it stands."""
    verdict: Verdict | None
    """`go`, `no_go` or `inconclusive`, once it succeeded."""
    results: dict[str, Any] | None
    """Scores by arm, paired differences with intervals, and the reasons of the verdict."""
    error: str | None
    """Why it failed."""
    error_code: str | None
    """`too_many_unscored` where a verdict is refused; its answers and figures are there."""


class RowObject(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of one arm."""

    object: Literal["evaluation.row"] = "evaluation.row"
    """Always `evaluation.row`."""
    suite: str
    """`heldout`, `training`, `behaviour`, or `own:` and a name."""
    row: int
    """Row number in the suite's file, from 0."""
    arm: str
    """Who answered: `base`, `few_shot`, `adapter` and so on, or a further model's name."""
    output: str | None
    """The answer; null when the row could not be scored."""
    scores: dict[str, float]
    """Scores by metric; a metric that could not be computed is absent."""
    error: str | None
    """Why the row is unscored."""
    from_cache: bool
    """Whether an earlier evaluation's answer to the same question was taken."""


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
        options=evaluation.options,
        status=evaluation.status,
        verdict=evaluation.verdict,
        results=evaluation.results,
        error=evaluation.error,
        error_code=((evaluation.results or {}).get("verdict") or {}).get("refusal"),
    )


def row_object(row: EvaluationRow) -> RowObject:
    """Return a record as it goes over the wire."""
    return RowObject(
        suite=row.suite,
        row=row.row,
        arm=row.arm,
        output=row.output,
        scores=row.scores,
        error=row.error,
        from_cache=row.from_cache,
    )
