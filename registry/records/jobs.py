"""Fine-tuning jobs, their events and checkpoints.

It refuses to know how a job is run.
"""

from typing import Any

import msgspec

from registry.lifecycle import JobStatus
from registry.records.record import Record


class JobError(Record, frozen=True, kw_only=True):
    """Why a job failed, in OpenAI's shape."""

    code: str
    """A stable word, such as `invalid_training_file`."""
    message: str
    """What happened, and what to do."""
    param: str | None = None
    """The request's parameter at fault, if one is."""


class FineTuningJob(Record, frozen=True, kw_only=True):
    """One request to train an adapter."""

    id: str
    """`ftjob-` and 24 hexadecimal digits."""
    project: str
    """The project that owns it."""
    model: str
    """Name of the base model, or of the version whose training goes on."""
    training_file: str
    """Id of the training data."""
    validation_file: str | None
    """Id of the held-out data, when the user gave some."""
    suffix: str | None
    """The user's part of the adapter's name."""
    seed: int
    """Seed of every random choice in the run."""
    method: dict[str, Any]
    """The method as requested: `{"type": "supervised", "supervised": {"hyperparameters": …}}`."""
    hyperparameters: dict[str, Any]
    """As requested at first (with `"auto"`), as resolved once the trainer planned the run."""
    metadata: dict[str, str]
    """The user's own pairs."""
    training: dict[str, Any] = msgspec.field(default_factory=dict)
    """The fields of `training_options.TrainingOptions` that the request chose."""
    integrations: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """Where the run is shown too, in OpenAI's shape."""
    status: JobStatus
    """Where it stands."""
    created_at: int
    """Unix time in seconds."""
    started_at: int | None = None
    """Unix time in seconds when training began."""
    finished_at: int | None = None
    """Unix time in seconds when it reached a final state."""
    estimated_finish: int | None = None
    """Unix time in seconds, from the speed so far."""
    fine_tuned_model: str | None = None
    """The adapter version's name, once published."""
    trained_tokens: int | None = None
    """Tokens that carried loss, over all epochs."""
    result_files: list[str] = msgspec.field(default_factory=list)
    """Ids of the CSV files with the losses."""
    error: JobError | None = None
    """Why it failed."""
    child_deaths: int = 0
    """How often the training child died by itself; the second time the job fails."""
    attempt: int = 0
    """How often it was resumed after a pause; the trainer works on the newest attempt only."""


class JobEvent(Record, frozen=True, kw_only=True):
    """Something a job reports."""

    id: str
    """`ftevent-` and 24 hexadecimal digits."""
    job_id: str
    """The job."""
    created_at: int
    """Unix time in seconds."""
    level: str
    """`info`, `warn` or `error`."""
    message: str
    """A sentence."""
    type: str = "message"
    """`message` or `metrics`."""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
    """For metrics: step, total_steps, train_loss, valid_loss and so on."""


class JobCheckpoint(Record, frozen=True, kw_only=True):
    """The adapter at the end of an epoch."""

    id: str
    """`ftckpt-` and 24 hexadecimal digits."""
    job_id: str
    """The job."""
    step: int
    """Optimiser steps done."""
    fine_tuned_model_checkpoint: str
    """Name under which the checkpoint can be used."""
    metrics: dict[str, float]
    """Losses and accuracies at this step."""
    created_at: int
    """Unix time in seconds."""
