"""Deployments, their arms and their history.

It refuses to know how an arm is chosen.
"""

from enum import StrEnum

import msgspec

from registry.records.record import Record


class Arm(StrEnum):
    """Which side of a deployment answered."""

    STABLE = "stable"
    CANDIDATE = "candidate"
    SHADOW = "shadow"
    """Answers a copy of the request; nobody sees the answer."""
    NONE = "none"
    """The request named a model, not a deployment."""


class RampStep(Record, frozen=True, kw_only=True):
    """One step of a gradual ramp."""

    at: int
    """Unix time in seconds from which the weight holds."""
    weight: float
    """Share of units that meet the candidate, 0 to 1."""


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
    ramp: list[RampStep] = msgspec.field(default_factory=list)
    """Weights to come, by time; before the first step `candidate_weight` holds."""
    shadow: str | None = None
    """The version that answers copies of requests, unseen."""
    shadow_share: float = 0.0
    """Share of requests that are copied to the shadow, 0 to 1."""
    unit_from: list[str] = msgspec.field(default_factory=list)
    """Where the unit is read, in order: fields of the body, or `header:NAME`; empty for
    `safety_identifier`, `user`, `header:x-graftline-unit`."""


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
    """Why, in the words of whoever changed it."""
    is_override: bool = False
    """Whether a version became stable without the verdict `go`."""
    ramp: list[RampStep] = msgspec.field(default_factory=list)
    """Ramp after the change."""
    shadow: str | None = None
    """Shadow after the change."""
    shadow_share: float = 0.0
    """Share of copied requests after the change."""
    unit_from: list[str] = msgspec.field(default_factory=list)
    """Where the unit is read after the change; empty for the default."""
    seq: int = 0
    """Its place in the order of all changes; given by the store."""


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
    """Interactions with a score: the n of `mean_score`."""
    mean_score: float | None
    """Mean feedback score; none without a score."""
