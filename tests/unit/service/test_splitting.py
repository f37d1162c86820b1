"""Which arm a unit meets."""

from hypothesis import given
from hypothesis import strategies as st

from registry.records import Arm
from service.splitting import choose_arm, hash_unit, position_of

weights = st.floats(0, 1)


@given(st.text(), st.text())
def test_a_position_lies_in_the_unit_interval(salt: str, unit: str) -> None:
    """From 0 up to, and without, 1."""
    assert 0 <= position_of(hash_unit(salt, unit)) < 1


@given(st.text(), st.text(), weights, weights)
def test_a_unit_that_met_the_candidate_stays_when_the_weight_grows(
    salt: str, unit: str, one: float, other: float
) -> None:
    """The split is monotone in the weight."""
    position = position_of(hash_unit(salt, unit))
    low, high = sorted([one, other])
    if choose_arm(position, low) is Arm.CANDIDATE:
        assert choose_arm(position, high) is Arm.CANDIDATE


@given(st.floats(0, 1, exclude_max=True))
def test_the_ends_of_the_scale_are_certain(position: float) -> None:
    """Nobody meets the candidate at weight 0, everybody at 1."""
    assert choose_arm(position, 0.0) is Arm.STABLE
    assert choose_arm(position, 1.0) is Arm.CANDIDATE


def test_the_proportion_is_the_weight() -> None:
    """Of 20,000 units 30 % meet the candidate, within four standard errors."""
    met = [choose_arm(position_of(hash_unit("salt", f"user-{n}")), 0.3) for n in range(20_000)]
    share = met.count(Arm.CANDIDATE) / len(met)
    assert abs(share - 0.3) < 4 * (0.3 * 0.7 / len(met)) ** 0.5


def test_two_salts_split_independently() -> None:
    """Who met the candidate of one deployment is no likelier to meet another's."""
    units = [f"user-{n}" for n in range(20_000)]
    both = [
        all(choose_arm(position_of(hash_unit(salt, unit)), 0.5) is Arm.CANDIDATE for salt in "ab")
        for unit in units
    ]
    assert abs(sum(both) / len(units) - 0.25) < 4 * (0.25 * 0.75 / len(units)) ** 0.5


def test_the_hash_of_a_unit_never_changes() -> None:
    """A new release must not move units between arms."""
    expected = "344dabcf7e5ca002"
    assert hash_unit("salt", "user-1")[:16] == expected
