"""A request to train, checked and made into a record.

It refuses to know the store: that the files exist and fit is checked by the route.
"""

import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from registry.errors import Invalid, NotFound
from registry.identifiers import new_id
from registry.lifecycle import JobStatus
from registry.records import FineTuningJob, JobEvent
from registry.reporting import read_integrations
from registry.training_options import check_continuation, read_options
from service.wire.fine_tuning import CreateJob, Hyperparameters, PreferenceHyperparameters

MAX_SEED = 2**31 - 1
"""Largest seed; the trainer's libraries take no larger one."""
_MAX_PAIRS, _MAX_KEY, _MAX_VALUE = 16, 64, 512
_MAX_SUFFIX = 64
_TINY, _HUGE = sys.float_info.min, sys.float_info.max
_RANGES: Mapping[str, tuple[float, float]] = {
    "n_epochs": (1, 50),
    "batch_size": (1, 256),
    "learning_rate_multiplier": (_TINY, _HUGE),
    "learning_rate": (_TINY, 1),
    "lora_rank": (1, 512),
    "lora_alpha": (1, 1024),
    "beta": (_TINY, 10),
}
_METHODS: Mapping[str, type[Hyperparameters]] = {
    "supervised": Hyperparameters,
    "dpo": PreferenceHyperparameters,
}


def new_job(
    request: CreateJob, *, project: str, base_name: str, random_seed: int, now: int
) -> FineTuningJob:
    """Return the record of a new job.

    Args:
        request: What the client asked for.
        project: The caller's project.
        base_name: The model that can be trained, besides earlier versions of the project.
        random_seed: Taken when the request names no seed.
        now: Unix time in seconds.

    Raises:
        NotFound: The model is neither the base model nor named like a version of it.
        Invalid: A parameter is out of range, or asks for what there is not.
    """
    continues = request.model != base_name
    if continues and not request.model.startswith("ft:"):
        raise NotFound("model", request.model)
    kind = _kind(request)
    hyperparameters = msgspec.to_builtins(_hyperparameters(request, kind))
    return FineTuningJob(
        id=new_id("ftjob"),
        project=project,
        model=request.model,
        training_file=request.training_file,
        validation_file=request.validation_file,
        suffix=checked_suffix(request.suffix),
        seed=random_seed if request.seed is None else _seed(request.seed),
        method={"type": kind, kind: {"hyperparameters": hyperparameters}},
        hyperparameters=hyperparameters,
        metadata=_metadata(request.metadata or {}),
        training=_training(request.training or {}, continues=continues),
        integrations=msgspec.to_builtins(read_integrations(request.integrations or [])),
        status=JobStatus.VALIDATING_FILES,
        created_at=now,
    )


def first_event(job: FineTuningJob) -> JobEvent:
    """Return the event that a job begins with."""
    message = f"Created fine-tuning job: {job.id}"
    return new_event(job, message)


def new_event(job: FineTuningJob, message: str, *, now: int | None = None) -> JobEvent:
    """Return an event of the service's own."""
    moment = job.created_at if now is None else now
    return JobEvent(
        id=new_id("ftevent"), job_id=job.id, created_at=moment, level="info", message=message
    )


def checked_suffix(suffix: str | None) -> str | None:
    """Return the suffix of a new version's name.

    Raises:
        Invalid: It is empty or too long.
    """
    if suffix is not None and not 1 <= len(suffix) <= _MAX_SUFFIX:
        raise Invalid(f"'suffix' must have 1 to {_MAX_SUFFIX} characters.", "suffix")
    return suffix


def _kind(request: CreateJob) -> str:
    kind = "supervised" if request.method is None else request.method.type
    if kind not in _METHODS:
        known = " or ".join(f"'{name}'" for name in _METHODS)
        message = f"The method '{kind[:64]}' is not supported; use {known}."
        raise Invalid(message, "method.type", "unsupported_method")
    return kind


def _hyperparameters(request: CreateJob, kind: str) -> Hyperparameters:
    chosen, where = request.hyperparameters, "hyperparameters"
    asked = None if request.method is None else getattr(request.method, kind)
    if asked is not None and asked.hyperparameters is not None:
        chosen, where = asked.hyperparameters, f"method.{kind}.hyperparameters"
    chosen = chosen or _METHODS[kind]()
    for name, (low, high) in _RANGES.items():
        value = getattr(chosen, name, msgspec.UNSET)
        if value is msgspec.UNSET or value == "auto" or low <= value <= high:
            continue
        floor = "above 0" if low == _TINY else f"at least {low}"
        ceiling = "" if high == _HUGE else f" and at most {high}"
        message = f"'{name}' must be {floor}{ceiling}, or 'auto'."
        raise Invalid(message, f"{where}.{name}")
    return chosen


def _training(requested: dict[str, Any], *, continues: bool) -> dict[str, Any]:
    options = read_options(requested)
    if continues:
        check_continuation(options)
    return requested


def _seed(seed: int) -> int:
    if not 0 <= seed <= MAX_SEED:
        raise Invalid(f"'seed' must lie between 0 and {MAX_SEED}.", "seed")
    return seed


def _metadata(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > _MAX_PAIRS:
        raise Invalid(f"'metadata' has more than {_MAX_PAIRS} pairs.", "metadata")
    for key, value in metadata.items():
        if len(key) > _MAX_KEY or len(value) > _MAX_VALUE:
            message = (
                f"A key of 'metadata' has at most {_MAX_KEY} characters, "
                f"a value at most {_MAX_VALUE}."
            )
            raise Invalid(message, "metadata")
    return metadata
