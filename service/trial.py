"""What a request makes of a deployment's trial: candidate, weight, ramp, shadow and units.

It refuses to know the store and the clock; promotion and rollback are `promotion.py`'s.
"""

from msgspec import UNSET
from msgspec.structs import replace

from registry.errors import Invalid
from registry.records import Deployment
from service.ramping import check_ramp, expanded, weight_at
from service.units import check_sources
from service.wire.deployments import RampPlan, TrialRequest, Weights

_SMALLEST = 1e-9


def asked_weight(weight: float | None, weights: Weights | None) -> float | None:
    """Return the share of the candidate that a request asks for; none when it asks for none.

    Raises:
        Invalid: Both forms are given, or the shares are not shares.
    """
    if weights is not None:
        if weight is not None:
            raise Invalid("Give 'weights' or 'candidate_weight', not both.", "weights")
        if abs(weights.stable + weights.candidate - 1) > _SMALLEST:
            raise Invalid("'weights' must add up to 1.", "weights")
        weight = weights.candidate
    if weight is not None and not 0 <= weight <= 1:
        name = "candidate_weight" if weights is None else "weights"
        raise Invalid("A weight must lie between 0 and 1.", name)
    return weight


def with_trial(present: Deployment, request: TrialRequest, *, salt: str, now: int) -> Deployment:
    """Return a deployment as a request wants it; what the request leaves out stays.

    Args:
        present: As it is.
        request: What changes.
        salt: A new salt. A new candidate starts a new experiment, whose units must be drawn
            independently of the last one's; a mere change of weight keeps every unit's place.
        now: Unix time in seconds.

    Raises:
        Invalid: The request contradicts itself.
    """
    following = present
    if request.candidate is not UNSET and request.candidate != present.candidate:
        following = replace(
            following, candidate=request.candidate, candidate_weight=0.0, ramp=[], salt=salt
        )
    following = _with_weight(following, request, now)
    following = _with_shadow(following, request)
    if request.unit_from is not UNSET:
        following = replace(following, unit_from=check_sources(request.unit_from or []))
    _check(following)
    return following


def _with_weight(present: Deployment, request: TrialRequest, now: int) -> Deployment:
    """Return the deployment with its weight and ramp.

    A new weight ends a ramp. So does a null; the weight in force then stays, as it does until the
    first step of a new ramp: no unit changes its arm because of the request itself.
    """
    weight = asked_weight(request.candidate_weight, request.weights)
    if weight is None and request.ramp is UNSET:
        return present
    present_weight = weight_at(present, now) if weight is None else weight
    present = replace(present, candidate_weight=present_weight, ramp=[])
    if request.ramp is UNSET or not request.ramp:
        return present
    if present.candidate is None:
        raise Invalid("There is no candidate that a ramp could bring in.", "ramp")
    steps = request.ramp
    if isinstance(steps, RampPlan):
        steps = expanded(steps, present_weight=present_weight, now=now)
    check_ramp(steps, present_weight=present_weight, may_fall=request.ramp_may_fall, now=now)
    return replace(present, ramp=steps)


def _with_shadow(present: Deployment, request: TrialRequest) -> Deployment:
    if request.shadow is not UNSET:
        if request.shadow is not None and present.shadow is None and request.shadow_share is None:
            message = "Say which share of the requests the shadow shall get, such as 0.1."
            raise Invalid(message, "shadow_share")
        present = replace(present, shadow=request.shadow)
        if request.shadow is None:
            present = replace(present, shadow_share=0.0)
    if request.shadow_share is not None:
        if not 0 <= request.shadow_share <= 1:
            raise Invalid("'shadow_share' must lie between 0 and 1.", "shadow_share")
        present = replace(present, shadow_share=request.shadow_share)
    return present


def _check(deployment: Deployment) -> None:
    """Check that the parts of a trial fit together."""
    if deployment.candidate is None and deployment.candidate_weight > 0:
        message = "There is no candidate that could meet a share of the units."
        raise Invalid(message, "candidate_weight")
    if deployment.candidate == deployment.stable:
        raise Invalid("The candidate is the stable version already.", "candidate")
    if deployment.shadow is None and deployment.shadow_share > 0:
        raise Invalid("There is no shadow that could get a share of the requests.", "shadow_share")
    if deployment.shadow == deployment.stable:
        message = "The shadow is the stable version already; there is nothing to compare."
        raise Invalid(message, "shadow")


def settled(present: Deployment, stable: str) -> Deployment:
    """Return a deployment with another stable version: its trial is over, its shadow goes on.

    A shadow that became the stable version itself ends too.
    """
    over = replace(present, stable=stable, candidate=None, candidate_weight=0.0, ramp=[])
    if over.shadow == stable:
        over = replace(over, shadow=None, shadow_share=0.0)
    return over
