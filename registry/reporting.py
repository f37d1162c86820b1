"""Where a job's figures are shown too: Weights & Biases, MLflow, TensorBoard.

It refuses to know how anything is written there: the trainer does it.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, Literal

import msgspec

from registry.errors import Invalid
from registry.records.record import Record
from registry.settings import Settings

MOST_INTEGRATIONS = 4
"""Most integrations of one job."""
_MOST_TAGS, _LONGEST_TAG, _LONGEST_NAME = 32, 64, 128


class Target(StrEnum):
    """A place where figures are shown; its word is the extra that installs its library."""

    WANDB = "wandb"
    MLFLOW = "mlflow"
    TENSORBOARD = "tensorboard"


LIBRARIES: Mapping[Target, str] = {
    Target.WANDB: "wandb",
    Target.MLFLOW: "mlflow",
    Target.TENSORBOARD: "tensorboardX",
}
"""The module that each target needs."""


class WandbRun(Record, frozen=True, kw_only=True):
    """What a request says about its run in Weights & Biases."""

    project: str
    """The project there."""
    name: str | None = None
    """The run's name; the job's id by default."""
    entity: str | None = None
    """The team or user there."""
    tags: list[str] | None = None
    """Words that the run carries."""


class Integration(Record, frozen=True, kw_only=True):
    """One of a request's `integrations`, in OpenAI's shape."""

    type: Literal["wandb"]
    """The only kind there is."""
    wandb: WandbRun
    """The run."""


def read_integrations(requested: Sequence[Mapping[str, Any]]) -> list[Integration]:
    """Return a request's integrations.

    Raises:
        Invalid: One is of another kind, lacks a field or is too long; the message says which.
    """
    if len(requested) > MOST_INTEGRATIONS:
        message = f"'integrations' has more than {MOST_INTEGRATIONS} entries."
        raise Invalid(message, "integrations")
    try:
        integrations = msgspec.convert(requested, list[Integration])
    except msgspec.ValidationError as exc:
        message = (
            f"'integrations' cannot be used: {exc}. An entry reads "
            '{"type": "wandb", "wandb": {"project": "…"}}; MLflow and TensorBoard are settings.'
        )
        raise Invalid(message, "integrations") from exc
    for integration in integrations:
        _check(integration.wandb)
    return integrations


def targets_of(integrations: Sequence[Integration], settings: Settings) -> list[Target]:
    """Return where a job's figures are shown: by its own wish and by the settings."""
    found = [Target.WANDB] if integrations else []
    if settings.mlflow_url is not None:
        found.append(Target.MLFLOW)
    if settings.tensorboard_dir is not None:
        found.append(Target.TENSORBOARD)
    return found


def is_installed(target: Target) -> bool:
    """Return whether a target's library can be imported; it is not imported for that."""
    return find_spec(LIBRARIES[target]) is not None


def check_targets(
    integrations: Sequence[Integration],
    settings: Settings,
    *,
    has_library: Callable[[Target], bool] = is_installed,
) -> None:
    """Check that a job's figures can be shown wherever they should be.

    Raises:
        Invalid: A library or a key is missing; the message says how to get it.
    """
    for target in targets_of(integrations, settings):
        if not has_library(target):
            why = "" if target is Target.WANDB else f", or unset GRAFTLINE_{_SETTINGS[target]}"
            raise Invalid(
                f"The library for '{target}' is not installed. Run "
                f"pip install 'graftline[{target}]' where service and trainer run{why}.",
                "integrations",
                "integration_unavailable",
            )
    if integrations and settings.wandb_mode == "online" and settings.wandb_key is None:
        raise Invalid(
            "There is no key for Weights & Biases. Set GRAFTLINE_WANDB_KEY for service and "
            "trainer, or GRAFTLINE_WANDB_MODE=offline.",
            "integrations",
            "integration_unavailable",
        )


_SETTINGS: Mapping[Target, str] = {
    Target.MLFLOW: "MLFLOW_URL",
    Target.TENSORBOARD: "TENSORBOARD_DIR",
}


def _check(run: WandbRun) -> None:
    named = {"project": run.project, "name": run.name, "entity": run.entity}
    for field, value in named.items():
        if value is not None and not 1 <= len(value) <= _LONGEST_NAME:
            message = f"'{field}' of wandb must have 1 to {_LONGEST_NAME} characters."
            raise Invalid(message, "integrations")
    tags = run.tags or []
    if len(tags) > _MOST_TAGS or not all(1 <= len(tag) <= _LONGEST_TAG for tag in tags):
        raise Invalid(
            f"'tags' of wandb has at most {_MOST_TAGS} words of 1 to {_LONGEST_TAG} characters.",
            "integrations",
        )
