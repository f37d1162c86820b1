"""The candidate's weight over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import Invalid
from registry.records import Arm, Deployment, RampStep
from service.ramping import MAX_STEPS, check_ramp, expanded, weight_at
from service.splitting import choose_arm, hash_unit, position_of
from service.wire.deployments import RampPlan
from tests import records

NOW = 1_800_000_000

rising = st.lists(st.tuples(st.integers(1, 1000), st.floats(0, 1)), min_size=1, max_size=20).map(
    lambda drawn: [
        RampStep(at=at, weight=weight)
        for at, weight in zip(
            sorted({pause for pause, _ in drawn}),
            sorted(weight for _, weight in drawn),
            strict=False,
        )
    ]
)


def deployment(*steps: RampStep, candidate: str | None = "v2", weight: float = 0.0) -> Deployment:
    """Return a deployment with a ramp."""
    ramp = list(steps)
    return records.deployment(
        project="p", stable="v1", candidate=candidate, candidate_weight=weight, ramp=ramp
    )


def check(*steps: RampStep, present_weight: float = 0.0, may_fall: bool = False) -> None:
    """Check a ramp."""
    check_ramp(steps, present_weight=present_weight, may_fall=may_fall, now=NOW)


def step(seconds: int, weight: float) -> RampStep:
    """Return a step so many seconds from now."""
    return RampStep(at=NOW + seconds, weight=weight)


@pytest.mark.parametrize(
    ("seconds", "weight"), [(-1, 0.05), (0, 0.1), (9.9, 0.1), (10, 0.5), (1e9, 0.5)]
)
def test_the_last_step_that_passed_is_in_force(seconds: float, weight: float) -> None:
    """Before the first one, the weight of the deployment itself."""
    ramped = deployment(step(0, 0.1), step(10, 0.5), weight=0.05)
    assert weight_at(ramped, NOW + seconds) == weight


def test_without_a_candidate_there_is_no_weight() -> None:
    """Whatever the ramp says."""
    assert weight_at(deployment(step(0, 1.0), candidate=None), NOW) == 0.0


@given(rising, st.text(max_size=20), st.integers(0, 1100), st.integers(0, 1100))
def test_a_unit_that_met_the_candidate_stays_while_a_ramp_rises(
    steps: list[RampStep], unit: str, one: int, other: int
) -> None:
    """At any two moments, the later one is no further from the candidate."""
    ramped, position = deployment(*steps), position_of(hash_unit("salt", unit))
    earlier, later = sorted([one, other])
    if choose_arm(position, weight_at(ramped, earlier)) is Arm.CANDIDATE:
        assert choose_arm(position, weight_at(ramped, later)) is Arm.CANDIDATE


def test_the_split_follows_the_ramp() -> None:
    """At each step of it, the share of 5,000 units is the weight within four standard errors."""
    ramped = deployment(*(step(place, place / 10) for place in range(11)))
    positions = [position_of(hash_unit("salt", f"user-{number}")) for number in range(5000)]
    for place in range(11):
        weight = weight_at(ramped, NOW + place)
        met = sum(choose_arm(position, weight) is Arm.CANDIDATE for position in positions)
        error = (weight * (1 - weight) / len(positions)) ** 0.5
        assert abs(met / len(positions) - weight) <= 4 * error


def test_a_plan_becomes_even_steps() -> None:
    """The first at its start, the last at its end."""
    plan = RampPlan(from_=0.1, to=0.5, start_at=NOW + 100, seconds=40, steps=4)
    steps = expanded(plan, present_weight=0.0, now=NOW)
    assert steps == [step(100 + 10 * place, round(0.1 + 0.1 * place, 9)) for place in range(5)]


def test_a_plan_starts_now_from_the_weight_in_force() -> None:
    """Unless it says otherwise."""
    steps = expanded(RampPlan(to=1.0, seconds=60), present_weight=0.25, now=NOW)
    assert (steps[0], steps[-1]) == (step(0, 0.25), step(60, 1.0))


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, MAX_STEPS - 1), st.integers(0, 10_000))
def test_every_plan_that_rises_is_a_sound_ramp(
    one: float, other: float, steps: int, spare: int
) -> None:
    """However its steps fall, they pass the check of a list."""
    low, high = sorted([round(one, 9), round(other, 9)])
    plan = RampPlan(from_=low, to=high, seconds=steps + spare, steps=steps)
    check(*expanded(plan, present_weight=low, now=NOW), present_weight=low)


@pytest.mark.parametrize(
    "plan",
    [
        RampPlan(to=1.0, seconds=100, steps=0),
        RampPlan(to=1.0, seconds=1000, steps=MAX_STEPS),
        RampPlan(to=1.0, seconds=5, steps=6),
        RampPlan(to=1.0, seconds=10**9, steps=6),
    ],
)
def test_a_plan_out_of_bounds_is_refused(plan: RampPlan) -> None:
    """Too many steps, or less than a second for each, or too long."""
    with pytest.raises(Invalid) as refused:
        expanded(plan, present_weight=0.0, now=NOW)
    assert refused.value.param == "ramp"


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ([step(0, 1.1)], "between 0 and 1"),
        ([step(0, -0.1)], "between 0 and 1"),
        ([step(0, float("nan"))], "between 0 and 1"),
        ([RampStep(at=60, weight=1.0)], "past"),
        ([RampStep(at=NOW * 1000, weight=1.0)], "ahead"),
        ([step(10, 0.1), step(10, 0.2)], "later"),
        ([step(10, 0.1), step(5, 0.2)], "later"),
        ([step(10, 0.5), step(20, 0.4)], "less than"),
        ([step(place, 0.5) for place in range(MAX_STEPS + 1)], "at most"),
    ],
)
def test_a_ramp_out_of_order_is_refused(steps: list[RampStep], word: str) -> None:
    """The message says which step, and what is wrong with it."""
    with pytest.raises(Invalid, match=word):
        check(*steps)


def test_a_first_step_below_the_present_weight_is_refused() -> None:
    """Units would leave the candidate."""
    with pytest.raises(Invalid, match="ramp_may_fall"):
        check(step(0, 0.1), present_weight=0.2)


def test_a_ramp_may_fall_where_that_is_said() -> None:
    """Units then leave the candidate by and by."""
    check(step(0, 0.5), step(10, 0.1), present_weight=1.0, may_fall=True)
