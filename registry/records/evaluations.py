"""Held-out exams and their verdicts.

It refuses to know how a verdict is reached.
"""

from enum import StrEnum
from typing import Any

import msgspec

from registry.lifecycle import EvaluationStatus
from registry.records.record import Record


class Verdict(StrEnum):
    """What an evaluation concludes."""

    GO = "go"
    NO_GO = "no_go"
    INCONCLUSIVE = "inconclusive"


class Evaluation(Record, frozen=True, kw_only=True):
    """A held-out exam of a candidate against baseline arms."""

    id: str
    """`eval-` and 24 hexadecimal digits."""
    project: str
    """The project that owns it."""
    adapter: str
    """Name of the adapter version under examination."""
    heldout_file: str
    """Id of the rows it is examined on."""
    training_file: str | None
    """Id of the rows that the few-shot prompt takes its examples from."""
    policy: dict[str, Any]
    """The rule of the verdict, fixed before the run."""
    status: EvaluationStatus
    """Where it stands."""
    created_at: int
    """Unix time in seconds."""
    finished_at: int | None = None
    """Unix time in seconds."""
    verdict: Verdict | None = None
    """What it concludes."""
    results: dict[str, Any] | None = None
    """Scores by arm, paired differences with intervals, and the reasons of the verdict, or of its
    refusal."""
    error: str | None = None
    """Why it failed."""
    options: dict[str, Any] = msgspec.field(default_factory=dict)
    """The fields of `evaluation_options.EvaluationOptions` that the request chose."""


class EvaluationRow(Record, frozen=True, kw_only=True):
    """One answer of one arm, kept so that a restart repeats nothing."""

    evaluation_id: str
    """The evaluation."""
    arm: str
    """Who answered: an arm of the exam, or the name of a further model."""
    row: int
    """Row number in the suite's file, from 0."""
    output: str | None
    """The answer; none when the row could not be scored."""
    scores: dict[str, float]
    """Scores by metric; a metric that could not be computed is absent."""
    error: str | None = None
    """Why the row is unscored."""
    suite: str = "heldout"
    """The suite the row belongs to."""
    from_cache: bool = False
    """Whether an earlier exam's answer to the same question was taken."""
