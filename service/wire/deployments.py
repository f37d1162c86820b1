"""Deployments, what their arms did, and who changed them.

It refuses to know which changes are allowed.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from registry.records import ArmOutcome, Deployment, DeploymentChange
from service.scores import wilson


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of units by arm; together 1."""

    stable: float
    """Share that meets the stable version."""
    candidate: float
    """Share that meets the candidate."""


class CreateDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a new public name."""

    name: str
    """What clients will send as `model`: letters, digits, dots, dashes, underscores; at most 64."""
    stable: str
    """The base model or an adapter version."""
    candidate: str | None = None
    """The version on trial."""
    candidate_weight: float | None = None
    """Share of units that meet the candidate, 0 to 1; 0 by default."""
    weights: Weights | None = None
    """The same, by arm."""
    override_reason: str | None = None
    """Why a stable version is right without the verdict `go`; recorded."""


class UpdateDeployment(msgspec.Struct, frozen=True, kw_only=True):
    """A request to change the trial; absent fields stay as they are."""

    candidate: str | UnsetType | None = UNSET
    """The version on trial; null ends the trial."""
    candidate_weight: float | None = None
    """Share of units that meet the candidate, 0 to 1."""
    weights: Weights | None = None
    """The same, by arm."""
    generation: int | None = None
    """The generation the caller saw; the change is refused if there was another since."""
    stable: str | None = None
    """Refused: promote or roll back instead."""


class Promote(msgspec.Struct, frozen=True, kw_only=True):
    """A request to make the candidate stable."""

    override_reason: str | None = None
    """Why the candidate is right without the verdict `go`; recorded."""


class ArmObject(msgspec.Struct, frozen=True, kw_only=True):
    """What one version did as one arm so far."""

    arm: str
    """`stable` or `candidate`."""
    model: str
    """The version."""
    interactions: int
    """Requests answered."""
    units: int
    """Distinct units."""
    feedback: int
    """Interactions with a score: the n of `mean_score`."""
    mean_score: float | None
    """Mean feedback score, 0 to 1; null without a score."""
    score_low: float | None
    """Lower bound of its 95 % interval (Wilson), valid at one look."""
    score_high: float | None
    """Upper bound of the same."""


class ChangeObject(msgspec.Struct, frozen=True, kw_only=True):
    """One line of history."""

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
    reason: str | None
    """The reason of an override."""


class DeploymentObject(msgspec.Struct, frozen=True, kw_only=True):
    """A stable public name that points at versions."""

    id: str
    """The name."""
    object: Literal["deployment"] = "deployment"
    """Always `deployment`."""
    name: str
    """What clients send as `model`."""
    stable: str
    """The version in production."""
    candidate: str | None
    """The version on trial."""
    candidate_weight: float
    """Share of units that meet the candidate."""
    weights: Weights
    """The same, by arm."""
    generation: int
    """Counts its changes."""
    created_at: int
    """Unix time in seconds."""
    updated_at: int
    """Unix time in seconds."""
    arms: list[ArmObject] | None = None
    """What each version did so far; null in lists."""
    history: list[ChangeObject] | None = None
    """Who changed what, newest first; null in lists."""


def deployment_object(
    deployment: Deployment,
    *,
    outcomes: list[ArmOutcome] | None = None,
    history: list[DeploymentChange] | None = None,
) -> DeploymentObject:
    """Return a record as it goes over the wire."""
    weight = deployment.candidate_weight
    return DeploymentObject(
        id=deployment.name,
        name=deployment.name,
        stable=deployment.stable,
        candidate=deployment.candidate,
        candidate_weight=weight,
        weights=Weights(stable=1 - weight, candidate=weight),
        generation=deployment.generation,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
        arms=None if outcomes is None else [_arm_object(outcome) for outcome in outcomes],
        history=None if history is None else [_change_object(change) for change in history],
    )


def _arm_object(outcome: ArmOutcome) -> ArmObject:
    bounds = None if outcome.mean_score is None else wilson(outcome.mean_score, outcome.feedback)
    return ArmObject(
        arm=outcome.arm,
        model=outcome.model,
        interactions=outcome.interactions,
        units=outcome.units,
        feedback=outcome.feedback,
        mean_score=outcome.mean_score,
        score_low=None if bounds is None else bounds.low,
        score_high=None if bounds is None else bounds.high,
    )


def _change_object(change: DeploymentChange) -> ChangeObject:
    return ChangeObject(
        generation=change.generation,
        action=change.action,
        actor=change.actor,
        created_at=change.created_at,
        stable=change.stable,
        candidate=change.candidate,
        candidate_weight=change.candidate_weight,
        reason=change.reason,
    )
