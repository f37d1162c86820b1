"""Deployments, what their arms did, and who changed them.

It refuses to know which changes are allowed.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from registry.records import ArmOutcome, Deployment, DeploymentChange, RampStep
from service.scores import wilson
from service.units import DEFAULT_SOURCES

CHANGE_PREFIX = "change-"
"""What comes before a change's number in its id."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of units by arm; together 1."""

    stable: float
    """Share that meets the stable version."""
    candidate: float
    """Share that meets the candidate."""


class RampPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A ramp in even steps."""

    from_: float | None = msgspec.field(default=None, name="from")
    """Weight at the start; by default the one in force."""
    to: float
    """Weight at the end."""
    start_at: int | None = None
    """Unix time in seconds; by default now."""
    seconds: int
    """From the start to the end; at least one for each step."""
    steps: int = 10
    """Number of steps after the start, 1 to 99."""


class TrialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a request may say about the versions beside the stable one, and about the units."""

    candidate: str | UnsetType | None = UNSET
    """The version on trial; null ends the trial."""
    candidate_weight: float | None = None
    """Share of units that meet the candidate, 0 to 1; it ends a ramp."""
    weights: Weights | None = None
    """The same, by arm."""
    ramp: list[RampStep] | RampPlan | UnsetType | None = UNSET
    """Weights to come: steps of Unix time and weight, or a plan; null ends a ramp where it is."""
    ramp_may_fall: bool = False
    """Whether the ramp may lower the weight."""
    shadow: str | UnsetType | None = UNSET
    """The version that answers copies of requests, unseen; null for none."""
    shadow_share: float | None = None
    """Share of answered requests that are copied to the shadow, 0 to 1."""
    unit_from: list[str] | UnsetType | None = UNSET
    """Where the unit is read, in order: fields of the body, `metadata.NAME`, `header:NAME`; null
    for `safety_identifier`, `user`, `header:x-graftline-unit`."""
    reason: str | None = None
    """Why; recorded."""


class CreateDeployment(TrialRequest, frozen=True, kw_only=True):
    """A request for a new public name."""

    name: str
    """What clients will send as `model`: letters, digits, dots, dashes, underscores; at most 64."""
    stable: str
    """The base model or an adapter version."""
    override_reason: str | None = None
    """Why a stable version is right without the verdict `go`; recorded."""


class UpdateDeployment(TrialRequest, frozen=True, kw_only=True):
    """A request to change a deployment; absent fields stay as they are."""

    generation: int | None = None
    """The generation the caller saw; the change is refused if there was another since."""
    stable: str | None = None
    """Refused: promote or roll back instead."""


class RollBack(msgspec.Struct, frozen=True, kw_only=True):
    """A request to return to the stable version before the present one."""

    generation: int | None = None
    """The generation the caller saw; the change is refused if there was another since."""
    reason: str | None = None
    """Why; recorded."""


class Promote(RollBack, frozen=True, kw_only=True):
    """A request to make the candidate stable."""

    override_reason: str | None = None
    """Why the candidate is right without the verdict `go`; recorded."""


class ArmObject(msgspec.Struct, frozen=True, kw_only=True):
    """What one version did as one arm so far."""

    arm: str
    """`stable`, `candidate` or `shadow`."""
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

    id: str
    """`change-` and its number; a page follows it when `after` names it."""
    object: Literal["deployment.change"] = "deployment.change"
    """Always `deployment.change`."""
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
    """Weight after the change, before the ramp's first step."""
    ramp: list[RampStep]
    """Ramp after the change."""
    shadow: str | None
    """Shadow after the change."""
    shadow_share: float
    """Share of copied requests after the change."""
    unit_from: list[str]
    """Where the unit is read after the change."""
    reason: str | None
    """Why, in the words of whoever changed it."""
    is_override: bool
    """Whether a version became stable without the verdict `go`."""


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
    """Share of units that meet the candidate, before the ramp's first step."""
    weights: Weights
    """The same, by arm."""
    weight_now: float
    """Share of units that meet the candidate at the moment of this answer."""
    ramp: list[RampStep]
    """Weights to come and those that came, by time; empty without a ramp."""
    shadow: str | None
    """The version that answers copies of requests, unseen."""
    shadow_share: float
    """Share of answered requests that are copied to the shadow."""
    unit_from: list[str]
    """Where the unit is read, in order."""
    generation: int
    """Counts its changes."""
    created_at: int
    """Unix time in seconds."""
    updated_at: int
    """Unix time in seconds."""
    arms: list[ArmObject] | None = None
    """What each version did so far; null in lists."""
    history: list[ChangeObject] | None = None
    """Who changed what, newest first, the last 20 changes; null in lists."""


def deployment_object(
    deployment: Deployment,
    *,
    weight_now: float,
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
        weight_now=weight_now,
        ramp=deployment.ramp,
        shadow=deployment.shadow,
        shadow_share=deployment.shadow_share,
        unit_from=deployment.unit_from or list(DEFAULT_SOURCES),
        generation=deployment.generation,
        created_at=deployment.created_at,
        updated_at=deployment.updated_at,
        arms=None if outcomes is None else [_arm_object(outcome) for outcome in outcomes],
        history=None if history is None else [change_object(change) for change in history],
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


def change_object(change: DeploymentChange) -> ChangeObject:
    """Return a line of history as it goes over the wire."""
    return ChangeObject(
        id=f"{CHANGE_PREFIX}{change.seq}",
        generation=change.generation,
        action=change.action,
        actor=change.actor,
        created_at=change.created_at,
        stable=change.stable,
        candidate=change.candidate,
        candidate_weight=change.candidate_weight,
        ramp=change.ramp,
        shadow=change.shadow,
        shadow_share=change.shadow_share,
        unit_from=change.unit_from or list(DEFAULT_SOURCES),
        reason=change.reason,
        is_override=change.is_override,
    )
