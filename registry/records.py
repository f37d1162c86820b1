"""The nouns: frozen records that every process reads and writes.

It refuses to know how they are stored, sent or shown.
"""

from enum import StrEnum
from typing import Any

import msgspec

from registry.lifecycle import AdapterStatus, EvaluationStatus, JobStatus

ANY_PROJECT = "*"
"""The project of Graftline's own keys, which see every project."""


class Scope(StrEnum):
    """What an API key may do."""

    INFERENCE = "inference"
    TRAINING = "training"
    ADMIN = "admin"


class Purpose(StrEnum):
    """What a data file is for, by OpenAI's names."""

    FINE_TUNE = "fine-tune"
    FINE_TUNE_RESULTS = "fine-tune-results"
    EVALS = "evals"


class Arm(StrEnum):
    """Which side of a deployment answered."""

    STABLE = "stable"
    CANDIDATE = "candidate"
    NONE = "none"
    """The request named a model, not a deployment."""


class Verdict(StrEnum):
    """What an evaluation concludes."""

    GO = "go"
    NO_GO = "no_go"
    INCONCLUSIVE = "inconclusive"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The base of the records: immutable, keyword-only, comparable by value."""


class DataFile(Record, frozen=True, kw_only=True):
    """An uploaded or produced file, immutable once stored."""

    id: str
    """`file-` and 24 hexadecimal digits."""
    project: str
    """The project that owns it."""
    filename: str
    """The name the uploader gave; never used as a path."""
    purpose: Purpose
    """What it is for."""
    bytes: int
    """Size in bytes."""
    sha256: str
    """Hash of the content, hexadecimal."""
    rows: int
    """Rows of data in it; 0 for files that hold no rows."""
    created_at: int
    """Unix time in seconds."""


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
    """The base model's name."""
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


class AdapterVersion(Record, frozen=True, kw_only=True):
    """Immutable LoRA weights under an immutable name."""

    name: str
    """`ft:{base}:{project}:{suffix}:{id}`, with `:ckpt-step-N` for a checkpoint."""
    project: str
    """The project that owns it."""
    base_model: str
    """Name of the base model it was trained on."""
    job_id: str | None
    """The job that made it; none for an import."""
    step: int | None
    """The checkpoint's step; none for a job's final adapter."""
    directory: str
    """Folder below the artifact root that holds weights and manifest."""
    manifest_sha256: str
    """Hash of the manifest, which holds the hash of every file."""
    rank: int
    """The largest LoRA rank in it."""
    heldout_file: str | None
    """Id of the rows it never saw in training."""
    training_file: str | None
    """Id of the rows it was trained on."""
    status: AdapterStatus
    """Where it stands."""
    created_at: int
    """Unix time in seconds."""
    probe: dict[str, Any] | None = None
    """What the effect probe measured in the engine, once it ran."""
    reason: str | None = None
    """Why it was rejected."""


class Deployment(Record, frozen=True, kw_only=True):
    """A stable public name that points at model versions."""

    name: str
    """What clients send as `model`."""
    project: str
    """The project that owns it."""
    stable: str
    """The version (or base model) in production."""
    candidate: str | None
    """The version on trial."""
    candidate_weight: float
    """Share of units that meet the candidate, 0 to 1."""
    salt: str
    """Mixed into the hash of a unit, so that experiments are independent."""
    generation: int
    """Counts its changes; an update names the generation it saw."""
    created_at: int
    """Unix time in seconds."""
    updated_at: int
    """Unix time in seconds."""


class DeploymentChange(Record, frozen=True, kw_only=True):
    """One line of a deployment's history."""

    deployment: str
    """The deployment's name."""
    project: str
    """Its project."""
    generation: int
    """The generation this change made."""
    action: str
    """`create`, `update`, `promote`, `rollback` or `delete`."""
    actor: str
    """Id of the API key that did it."""
    created_at: int
    """Unix time in seconds."""
    stable: str
    """Stable after the change."""
    candidate: str | None
    """Candidate after the change."""
    candidate_weight: float
    """Weight after the change."""
    reason: str | None = None
    """The reason of an override."""


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
    """Scores by arm, paired differences with intervals, and the reasons of the verdict."""
    error: str | None = None
    """Why it failed."""


class EvaluationRow(Record, frozen=True, kw_only=True):
    """One answer of one arm, kept so that a restart repeats nothing."""

    evaluation_id: str
    """The evaluation."""
    arm: str
    """`base`, `few_shot` or `adapter`."""
    row: int
    """Row number in the held-out file, from 0."""
    output: str | None
    """The answer; none when the row could not be scored."""
    scores: dict[str, float]
    """Scores by metric; a metric that could not be computed is absent."""
    error: str | None = None
    """Why the row is unscored."""


class Interaction(Record, frozen=True, kw_only=True):
    """One inference request and its outcome."""

    id: str
    """Id of the completion, as the client saw it."""
    project: str
    """Project of the key that asked."""
    deployment: str | None
    """The deployment that was asked for, if one was."""
    arm: Arm
    """The side that answered."""
    model: str
    """The version that answered."""
    unit_hash: str | None
    """Hash of the unit; the unit itself is never stored."""
    endpoint: str
    """`chat.completions` or `completions`."""
    status: int
    """HTTP status the client saw."""
    finish_reason: str | None
    """Why the answer ended."""
    prompt_tokens: int | None
    """Tokens of the prompt, as the engine counted."""
    completion_tokens: int | None
    """Tokens of the answer, as the engine counted."""
    first_token_seconds: float | None
    """From the request to the first byte of the answer."""
    duration_seconds: float
    """From the request to the last byte of the answer."""
    created_at: float
    """Unix time in seconds, with fractions."""


class Feedback(Record, frozen=True, kw_only=True):
    """A judgement on one interaction."""

    id: str
    """`feedback-` and 24 hexadecimal digits."""
    interaction_id: str
    """The interaction."""
    project: str
    """Its project."""
    score: float
    """From 0 (bad) to 1 (good)."""
    label: str | None
    """A word of the user's own."""
    comment: str | None
    """Free text."""
    correction: str | None
    """What the answer should have been."""
    created_at: int
    """Unix time in seconds."""


class ArmOutcome(Record, frozen=True, kw_only=True):
    """What one arm of a deployment did so far."""

    arm: Arm
    """The arm."""
    model: str
    """The version that answered."""
    interactions: int
    """Requests answered."""
    units: int
    """Distinct units."""
    feedback: int
    """Interactions with feedback."""
    mean_score: float | None
    """Mean feedback score; none without feedback."""


class ApiKey(Record, frozen=True, kw_only=True):
    """A credential; the secret itself is never stored."""

    id: str
    """`key-` and 24 hexadecimal digits."""
    project: str
    """Project it acts in; `*` for Graftline's own processes."""
    name: str
    """What the operator calls it."""
    secret_sha256: str
    """Hash of the secret. The secret has 256 random bits, so a fast hash is enough."""
    scopes: list[Scope]
    """What it may do."""
    created_at: int
    """Unix time in seconds."""
    revoked_at: int | None = None
    """Unix time in seconds since when it opens nothing."""


class Heartbeat(Record, frozen=True, kw_only=True):
    """The last sign of life of a part."""

    part: str
    """`trainer`, `evals` or `service`."""
    pid: int
    """Its process id."""
    at: float
    """Unix time in seconds, with fractions."""
