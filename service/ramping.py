"""The candidate's weight over time: which one is in force, and the steps of a gradual ramp.

It refuses to know the clock: nobody moves a weight, every process works it out from the time.
"""

from bisect import bisect_right
from collections.abc import Sequence
from operator import attrgetter

from registry.errors import Invalid
from registry.records import Deployment, RampStep
from service.wire.deployments import RampPlan

MAX_STEPS = 100
"""Most steps of a ramp."""
MAX_DAYS = 366
"""Longest time until a ramp's last step."""
PAST_SECONDS = 60
"""How far back the first step may lie: the clocks of client and service differ."""

_DAY_SECONDS = 86_400
_at = attrgetter("at")


def weight_at(deployment: Deployment, now: float) -> float:
    """Return the share of units that meet the candidate at a time, 0 to 1.

    Args:
        deployment: Its steps are in order of time.
        now: Unix time in seconds.
    """
    if deployment.candidate is None:
        return 0.0
    if not deployment.ramp:
        return deployment.candidate_weight
    passed = bisect_right(deployment.ramp, now, key=_at)
    return deployment.ramp[passed - 1].weight if passed else deployment.candidate_weight


def expanded(plan: RampPlan, *, present_weight: float, now: int) -> list[RampStep]:
    """Return the steps of a plan: even in time and in weight, the last one at its end.

    Args:
        plan: What the request asks for.
        present_weight: The weight in force, from which the plan starts unless it says otherwise.
        now: Unix time in seconds, at which the plan starts unless it says otherwise.

    Raises:
        Invalid: There are too many steps, or less than a second for each.
    """
    if not 1 <= plan.steps < MAX_STEPS:
        raise Invalid(f"'ramp.steps' must lie between 1 and {MAX_STEPS - 1}.", "ramp")
    if not plan.steps <= plan.seconds <= MAX_DAYS * _DAY_SECONDS:
        message = f"'ramp.seconds' must be at least 'ramp.steps' and at most {MAX_DAYS} days."
        raise Invalid(message, "ramp")
    start = now if plan.start_at is None else plan.start_at
    first = present_weight if plan.from_ is None else plan.from_
    return [
        RampStep(
            at=start + place * plan.seconds // plan.steps,
            weight=_between(first, plan.to, place, plan.steps),
        )
        for place in range(plan.steps + 1)
    ]


def check_ramp(
    steps: Sequence[RampStep], *, present_weight: float, may_fall: bool, now: int
) -> None:
    """Check a ramp.

    Args:
        steps: As they were asked for.
        present_weight: The weight before the first step.
        may_fall: Whether a step may lower the weight; units then leave the candidate.
        now: Unix time in seconds.

    Raises:
        Invalid: A step is out of order, out of bounds, or lowers the weight unasked.
    """
    if len(steps) > MAX_STEPS:
        raise Invalid(f"A ramp has at most {MAX_STEPS} steps; this one has {len(steps)}.", "ramp")
    earliest, weight = now - PAST_SECONDS, present_weight
    for place, step in enumerate(steps):
        name = f"ramp[{place}]"
        if not 0 <= step.weight <= 1:
            raise Invalid(f"'{name}.weight' must lie between 0 and 1.", "ramp")
        if step.at > now + MAX_DAYS * _DAY_SECONDS:
            message = f"'{name}.at' lies more than {MAX_DAYS} days ahead; give Unix seconds."
            raise Invalid(f"{message} It is {now} now.", "ramp")
        if step.at < earliest:
            what = "lies in the past" if place == 0 else "must be later than the step before"
            raise Invalid(f"'{name}.at' {what}; give Unix seconds. It is {now} now.", "ramp")
        if step.weight < weight and not may_fall:
            message = f"'{name}.weight' is less than the weight before it, {weight:g}."
            raise Invalid(f"{message} Set 'ramp_may_fall' if units shall leave again.", "ramp")
        earliest, weight = step.at + 1, step.weight


def _between(first: float, last: float, place: int, places: int) -> float:
    if place == places:
        return last
    return round(first + (last - first) * place / places, 9)
