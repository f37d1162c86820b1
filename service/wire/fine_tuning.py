"""Fine-tuning jobs, their events and checkpoints, in OpenAI's shapes.

It refuses to know how a job is trained. Every null that OpenAI shows is shown.
"""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from registry.lifecycle import JobStatus
from registry.records import FineTuningJob, JobCheckpoint, JobError, JobEvent
from registry.training_options import read_options

Auto = Literal["auto"]


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may choose; `auto` leaves it to Graftline."""

    n_epochs: int | Auto = "auto"
    """Passes over the training rows, 1 to 50."""
    batch_size: int | Auto = "auto"
    """Rows in one optimiser step, 1 to 256."""
    learning_rate_multiplier: float | Auto = "auto"
    """Factor on the default learning rate, above 0."""
    learning_rate: float | Auto | UnsetType = UNSET
    """Graftline's own: the learning rate itself, above 0 and at most 1."""
    lora_rank: int | Auto | UnsetType = UNSET
    """Graftline's own: 1 to 512, and at most what the engine takes."""
    lora_alpha: int | Auto | UnsetType = UNSET
    """Graftline's own: 1 to 1024."""


class PreferenceHyperparameters(Hyperparameters, frozen=True, kw_only=True):
    """What a request may choose of DPO."""

    beta: float | Auto = "auto"
    """How much a departure from the reference costs, above 0 and at most 10."""


class Supervised(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of supervised training."""

    hyperparameters: Hyperparameters | None = None
    """What the request chose."""


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of direct preference optimisation."""

    hyperparameters: PreferenceHyperparameters | None = None
    """What the request chose."""


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """How to train."""

    type: str
    """`supervised` or `dpo`; reinforcement is not there."""
    supervised: Supervised | None = None
    """The choices of supervised training."""
    dpo: Preference | None = None
    """The choices of direct preference optimisation."""


class CreateJob(msgspec.Struct, frozen=True, kw_only=True):
    """A request to train."""

    model: str
    """Name of the base model, or of an earlier version whose training goes on."""
    training_file: str
    """Id of a file with the purpose `fine-tune`."""
    validation_file: str | None = None
    """Id of held-out rows; without it Graftline holds some of the training rows out."""
    suffix: str | None = None
    """A part of the new model's name, 1 to 64 characters."""
    seed: int | None = None
    """Seed of every random choice; random by default, and shown in the job."""
    metadata: dict[str, str] | None = None
    """At most 16 pairs; keys of at most 64 characters, values of at most 512."""
    method: Method | None = None
    """How to train; supervised by default."""
    hyperparameters: Hyperparameters | None = None
    """The older place of the hyperparameters."""
    integrations: list[dict[str, Any]] | None = None
    """`{"type": "wandb", "wandb": {"project": …}}`: where the run is shown too."""
    training: dict[str, Any] | None = None
    """Graftline's own: fields of `TrainingOptions`, such as the technique."""


class JobObject(msgspec.Struct, frozen=True, kw_only=True):
    """A fine-tuning job."""

    id: str
    """`ftjob-` and 24 hexadecimal digits."""
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    """Always `fine_tuning.job`."""
    created_at: int
    """Unix time in seconds."""
    error: JobError | None
    """Why it failed."""
    finished_at: int | None
    """Unix time in seconds."""
    fine_tuned_model: str | None
    """The adapter version's name, once there is one."""
    hyperparameters: dict[str, Any]
    """As requested at first, as resolved once the run was planned."""
    method: dict[str, Any]
    """How it is trained."""
    model: str
    """Name of the base model, or of the version whose training went on."""
    organization_id: str
    """The project."""
    result_files: list[str]
    """Ids of the CSV files with the losses."""
    status: JobStatus
    """Where it stands."""
    trained_tokens: int | None
    """Tokens that carried loss."""
    training_file: str
    """Id of the training rows."""
    validation_file: str | None
    """Id of the held-out rows."""
    seed: int
    """Seed of every random choice."""
    estimated_finish: int | None
    """Unix time in seconds, from the speed so far."""
    integrations: list[dict[str, Any]] | None
    """Where the run is shown too, by the request's wish; null when it has none."""
    metadata: dict[str, str]
    """The user's own pairs."""
    training: dict[str, Any]
    """Graftline's own: how it is trained beyond OpenAI's hyperparameters."""


class EventObject(msgspec.Struct, frozen=True, kw_only=True):
    """Something a job reports."""

    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    """Always `fine_tuning.job.event`."""
    id: str
    """`ftevent-` and 24 hexadecimal digits."""
    created_at: int
    """Unix time in seconds."""
    level: str
    """`info`, `warn` or `error`."""
    message: str
    """A sentence."""
    type: str
    """`message` or `metrics`."""
    data: dict[str, Any]
    """For metrics: step, total_steps, train_loss, valid_loss and so on."""


class CheckpointObject(msgspec.Struct, frozen=True, kw_only=True):
    """The adapter at the end of an epoch."""

    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    """Always `fine_tuning.job.checkpoint`."""
    id: str
    """`ftckpt-` and 24 hexadecimal digits."""
    created_at: int
    """Unix time in seconds."""
    fine_tuned_model_checkpoint: str
    """Name under which it can be used as a model."""
    fine_tuning_job_id: str
    """The job."""
    metrics: dict[str, float]
    """Losses and accuracies at this step."""
    step_number: int
    """Optimiser steps done."""


class CheckpointList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of checkpoints."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[CheckpointObject]
    """The checkpoints, newest first."""
    first_id: str | None
    """Id of the first one on the page."""
    last_id: str | None
    """Id of the last one on the page."""
    has_more: bool
    """Whether another page follows."""


def job_object(job: FineTuningJob) -> JobObject:
    """Return a record as it goes over the wire."""
    kind = job.method["type"]
    return JobObject(
        id=job.id,
        created_at=job.created_at,
        error=job.error,
        finished_at=job.finished_at,
        fine_tuned_model=job.fine_tuned_model,
        hyperparameters=job.hyperparameters,
        method={"type": kind, kind: {"hyperparameters": job.hyperparameters}},
        model=job.model,
        organization_id=job.project,
        result_files=job.result_files,
        status=job.status,
        trained_tokens=job.trained_tokens,
        training_file=job.training_file,
        validation_file=job.validation_file,
        seed=job.seed,
        estimated_finish=job.estimated_finish,
        integrations=job.integrations or None,
        metadata=job.metadata,
        training=msgspec.to_builtins(read_options(job.training)),
    )


def event_object(event: JobEvent) -> EventObject:
    """Return a record as it goes over the wire."""
    return EventObject(
        id=event.id,
        created_at=event.created_at,
        level=event.level,
        message=event.message,
        type=event.type,
        data=event.data,
    )


def checkpoint_list(checkpoints: list[JobCheckpoint], *, has_more: bool) -> CheckpointList:
    """Return a page of records as it goes over the wire."""
    return CheckpointList(
        data=[_checkpoint_object(checkpoint) for checkpoint in checkpoints],
        first_id=checkpoints[0].id if checkpoints else None,
        last_id=checkpoints[-1].id if checkpoints else None,
        has_more=has_more,
    )


def _checkpoint_object(checkpoint: JobCheckpoint) -> CheckpointObject:
    return CheckpointObject(
        id=checkpoint.id,
        created_at=checkpoint.created_at,
        fine_tuned_model_checkpoint=checkpoint.fine_tuned_model_checkpoint,
        fine_tuning_job_id=checkpoint.job_id,
        metrics=checkpoint.metrics,
        step_number=checkpoint.step,
    )
