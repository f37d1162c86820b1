"""What the demo saw, step by step.

It refuses to know how it was obtained or shown.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class UploadedFiles:
    """The two data files."""

    training: str
    """Id of the training file."""
    heldout: str
    """Id of the held-out file."""
    training_rows: int
    """Rows in the training file."""
    heldout_rows: int
    """Rows in the held-out file."""


@dataclass(frozen=True, kw_only=True)
class LossPoint:
    """One point of the loss curve."""

    step: int
    """Optimiser steps done."""
    train: float | None
    """Training loss, in nats a token."""
    valid: float | None
    """Loss on held-out rows, in nats a token."""


@dataclass(frozen=True, kw_only=True)
class FinishedJob:
    """The fine-tuning job."""

    id: str
    """Its id."""
    model: str
    """Name of the adapter version it made."""
    seconds: float
    """From its creation to its success."""
    trained_tokens: int
    """Tokens that carried loss, over all epochs."""
    hyperparameters: dict[str, Any]
    """As resolved."""
    losses: list[LossPoint] = field(default_factory=list)
    """The loss curve."""


@dataclass(frozen=True, kw_only=True)
class ArmCount:
    """What one arm did."""

    arm: str
    """`stable` or `candidate`."""
    model: str
    """The version that answered."""
    interactions: int
    """Requests."""
    units: int
    """Distinct units."""
    feedback: int
    """Judged requests."""
    mean_score: float | None
    """Mean score from 0 to 1."""
    score_low: float | None
    """Lower bound of its 95 % interval."""
    score_high: float | None
    """Upper bound of the same."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The split traffic."""

    requests: int
    """Requests sent."""
    failed: int
    """Requests that got no answer."""
    units: int
    """Distinct units."""
    moved_units: int
    """Units that met more than one arm; a sticky split has none."""
    arms: list[ArmCount]
    """Counts and scores by arm."""


@dataclass(frozen=True, kw_only=True)
class StreamedAnswer:
    """The answer after the promotion."""

    prompt: str
    """What was asked."""
    text: str
    """What came."""
    expected: str
    """What the held-out row holds."""
    chunks: int
    """Events of the stream."""
    model: str
    """The version that answered."""


@dataclass(frozen=True, kw_only=True)
class DemoFacts:
    """Everything the demo saw."""

    base: str
    """Name of the base model."""
    engine_pid: int
    """Process id of vLLM, the same from the first step to the last."""
    files: UploadedFiles
    """Step 1."""
    job: FinishedJob
    """Step 2."""
    adapter: dict[str, Any]
    """Step 3, as the API shows it."""
    evaluation: dict[str, Any]
    """Step 4, as the API shows it."""
    traffic: Traffic
    """Step 5."""
    answer: StreamedAnswer
    """Step 6."""
