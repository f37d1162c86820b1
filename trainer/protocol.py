"""What the trainer and its training child tell each other, as JSON.

It refuses to know pipes, files and processes.
"""

from typing import Any

import msgspec

from registry.artifacts import ProbeRow
from registry.records import Record
from registry.training_options import TrainingOptions
from trainer.plan import Hyperparameters


class Plan(Record, frozen=True, kw_only=True):
    """Everything a training child needs to know."""

    job_id: str
    """The job."""
    base_model: str
    """Path or Hugging Face name of the base model."""
    base_name: str
    """The name clients use for it."""
    seed: int
    """Seed of every random choice."""
    hyperparameters: Hyperparameters
    """As resolved."""
    options: TrainingOptions = TrainingOptions()
    """As requested, checked."""
    method: str = "supervised"
    """`supervised` or `dpo`."""
    max_lora_rank: int = 32
    """Largest rank the engine takes."""
    parent: str | None = None
    """Name of the version whose weights the training goes on from."""
    parent_sha256: str | None = None
    """Hash of that version's manifest."""
    parent_base_sha256: str | None = None
    """Hash over the base model that that version was trained on."""
    max_length: int
    """Longest row in tokens; longer ones are cut."""
    checkpoint_steps: int
    """Optimiser steps between two points to resume from."""
    memory_bytes: int | None = None
    """Most memory that the run may take; none for what the machine has."""
    training_file: str
    """Id of the rows really trained on."""
    training_sha256: str
    """Hash of that file."""
    heldout_file: str | None
    """Id of the rows held out, if any."""
    heldout_sha256: str | None
    """Hash of that file."""


class Notice(Record, frozen=True, kw_only=True, tag="notice"):
    """A sentence for the job's events."""

    level: str
    """`info` or `warn`."""
    message: str
    """What happened."""


class Progress(Record, frozen=True, kw_only=True, tag="progress"):
    """How far the training is."""

    step: int
    """Optimiser steps done."""
    total_steps: int
    """Optimiser steps in all."""
    seconds_left: float
    """Estimate from the speed of this process."""
    tokens_per_second: float
    """Tokens seen a second, padding excluded."""
    tokens: int
    """Tokens this process has seen since it started."""
    metrics: dict[str, float]
    """Losses and accuracies, by the names of the events' data."""


class HistoryRow(Record, frozen=True, kw_only=True):
    """One line of the result file."""

    step: int
    """Optimiser steps done."""
    train_loss: float | None = None
    """Mean loss of the steps since the line before, in nats per token."""
    train_accuracy: float | None = None
    """Share of those tokens that were the likeliest."""
    valid_loss: float | None = None
    """Loss on held-out rows, in nats per token."""
    valid_mean_token_accuracy: float | None = None
    """Share of held-out tokens that were the likeliest."""


class TrainedVersion(Record, frozen=True, kw_only=True):
    """An adapter that the child left in the job's folder."""

    folder: str
    """Its folder, relative to the job's."""
    step: int
    """Optimiser steps done."""
    is_final: bool
    """Whether it is the job's result; the others are checkpoints."""
    metrics: dict[str, float]
    """Losses and accuracies at this step."""
    probe: list[ProbeRow]
    """What the trainer measured on a few rows."""
    rank: int | None = None
    """Its largest LoRA rank; none when it is the plan's."""
    full: str | None = None
    """Folder of the full checkpoint beside it, relative to the job's."""


class Result(Record, frozen=True, kw_only=True, tag="result"):
    """A training that reached its end."""

    versions: list[TrainedVersion]
    """The final adapter and the checkpoints, oldest first."""
    history: list[HistoryRow]
    """Losses by step."""
    trained_tokens: int
    """Tokens that carried loss, over all epochs."""
    base_sha256: str
    """Hash over the base model's configuration and weights."""
    libraries: dict[str, str]
    """Versions of the libraries that took part."""
    settings: dict[str, Any]
    """What else decides the weights: precision, threads, device."""
    template_sha256: str | None = None
    """Hash of the chat template that rows were rendered with."""


class Failure(Record, frozen=True, kw_only=True, tag="failure"):
    """A training that cannot succeed, with a reason."""

    code: str
    """A stable word, such as `diverged`."""
    message: str
    """What happened, and what to do."""


DPO = "dpo"
"""The method that learns from pairs of answers."""

Message = Notice | Progress
Outcome = Result | Failure


def decode_message(line: bytes) -> Message:
    """Return the message on one line of the child's pipe."""
    message: Message = msgspec.json.decode(line, type=Message)
    return message


def decode_outcome(content: bytes) -> Outcome:
    """Return the child's last word."""
    outcome: Outcome = msgspec.json.decode(content, type=Outcome)
    return outcome


def decode_plan(content: bytes) -> Plan:
    """Return the plan of a job."""
    return msgspec.json.decode(content, type=Plan)


def portable_plan(plan: Plan) -> dict[str, Any]:
    """Return a plan as a manifest keeps it: nothing in it is this machine's own business."""
    portable = msgspec.structs.replace(plan, base_model=plan.base_name)
    fields: dict[str, Any] = msgspec.to_builtins(portable)
    return fields
