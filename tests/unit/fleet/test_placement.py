"""Which replica should hold which version."""

from hypothesis import given
from hypothesis import strategies as st

from service.fleet.placement import Demand, place, ranked

REPLICAS = ["a:1", "b:1", "c:1", "d:1"]


def names(count: int, prefix: str = "v") -> list[str]:
    """Return names of versions."""
    return [f"{prefix}{number}" for number in range(count)]


def test_when_all_fit_every_replica_holds_all() -> None:
    """In the order of their urgency."""
    placement = place(Demand(fixed=["f"], others=names(3)), REPLICAS, 4)
    assert placement.held == dict.fromkeys(REPLICAS, ("f", "v0", "v1", "v2"))


def test_fixed_versions_are_everywhere_even_beyond_the_room() -> None:
    """What deployments name is never left out."""
    placement = place(Demand(fixed=names(5), others=["x"]), REPLICAS, 3)
    assert placement.held == dict.fromkeys(REPLICAS, tuple(names(5)))
    assert "x" not in placement.homes


def test_when_they_do_not_fit_each_version_lives_on_few_replicas() -> None:
    """Thirty on four replicas with ten places each: one home, forty places by half used."""
    placement = place(Demand(fixed=[], others=names(30)), REPLICAS, 10)
    assert {len(homes) for homes in placement.homes.values()} == {1}
    assert len(placement.homes) == 30


def test_more_room_makes_more_copies() -> None:
    """Twelve on four replicas with ten places: three homes each."""
    placement = place(Demand(fixed=[], others=names(12)), REPLICAS, 10)
    assert min(len(homes) for homes in placement.homes.values()) >= 2


@given(st.integers(0, 6), st.integers(0, 60), st.integers(1, 4), st.integers(1, 12))
def test_no_replica_holds_more_than_its_room(
    fixed: int, others: int, replicas: int, room: int
) -> None:
    """But for the fixed ones, whatever the numbers."""
    demand = Demand(fixed=names(fixed, "f"), others=names(others))
    held = place(demand, REPLICAS[:replicas], room).held
    assert all(len(some) <= max(room, fixed) for some in held.values())


@given(st.integers(1, 60), st.integers(1, 12))
def test_the_most_urgent_have_a_place_before_the_others(others: int, room: int) -> None:
    """Those without a home are the last ones."""
    homes = place(Demand(fixed=[], others=names(others)), REPLICAS, room).homes
    assert list(homes) == names(others)[: len(homes)]
    assert len(homes) == min(others, room * len(REPLICAS))


def test_a_replica_that_goes_moves_few_versions() -> None:
    """Only those that lived there, when there is room enough."""
    demand = Demand(fixed=[], others=names(40))
    before = place(demand, REPLICAS, 30).homes
    after = place(demand, REPLICAS[:3], 30).homes
    moved = [name for name in names(40) if before[name][0] != after[name][0]]
    assert all(before[name][0] == "d:1" for name in moved)


def test_no_replicas_hold_nothing() -> None:
    """While none is up there is no place."""
    assert place(Demand(fixed=[], others=names(3)), [], 1).homes == {}


def test_the_ranking_depends_on_the_names_alone() -> None:
    """Every process ranks alike, in whatever order it knows the replicas."""
    assert ranked("v", tuple(REPLICAS)) == ranked("v", tuple(REPLICAS[::-1]))
