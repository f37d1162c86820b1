"""Which replica gets a request."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from service.fleet.choice import PREFIX_SLACK, choose


@dataclass
class Stub:
    """A replica as the choice sees it."""

    seed: int
    outstanding: int = 0


def stubs(*outstanding: int) -> list[Stub]:
    """Return replicas with so many requests each."""
    return [Stub(seed=1000003 * (index + 1), outstanding=n) for index, n in enumerate(outstanding)]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=16), st.integers())
def test_without_slack_the_least_busy_gets_it(outstanding: list[int], key: int) -> None:
    """Whatever the key."""
    assert choose(stubs(*outstanding), key, 0).outstanding == min(outstanding)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=16), st.integers())
def test_a_preference_never_unbalances(outstanding: list[int], key: int) -> None:
    """The chosen one is at most the slack busier than the least busy one."""
    chosen = choose(stubs(*outstanding), key, PREFIX_SLACK)
    assert chosen.outstanding <= min(outstanding) + PREFIX_SLACK


def test_one_prefix_meets_one_replica() -> None:
    """As long as it is not too busy, whatever the others do."""
    replicas = stubs(0, 0, 0, 0)
    preferred = choose(replicas, 7, PREFIX_SLACK)
    for other in replicas:
        other.outstanding = 0 if other is preferred else 3
    preferred.outstanding = PREFIX_SLACK
    assert choose(replicas, 7, PREFIX_SLACK) is preferred
    for other in replicas:
        other.outstanding = 0 if other is not preferred else PREFIX_SLACK + 1
    assert choose(replicas, 7, PREFIX_SLACK) is not preferred


def test_prefixes_spread_over_the_replicas() -> None:
    """4,000 prefixes on four replicas: each gets a quarter, within a tenth of it."""
    replicas = stubs(0, 0, 0, 0)
    counts = Counter(choose(replicas, hash((key, 7)), 0).seed for key in range(4000))
    assert all(900 <= count <= 1100 for count in counts.values())


def test_new_keys_spread_equally_busy_replicas() -> None:
    """A counter as key: 4,000 requests on four idle replicas, each a quarter within a tenth."""
    replicas = stubs(0, 0, 0, 0)
    counts = Counter(choose(replicas, turn, 0).seed for turn in range(4000))
    assert all(900 <= count <= 1100 for count in counts.values())


@given(st.integers(0, 9), st.integers(0, 9), st.integers(), st.integers(0, 4))
def test_two_replicas_are_chosen_from_as_many_are(
    one: int, other: int, key: int, slack: int
) -> None:
    """The short way and the long way agree: a third one that is far too busy changes nothing."""
    pair = stubs(one, other)
    crowd = [*pair, Stub(seed=least_for(key), outstanding=1000)]
    assert choose(pair, key, slack) is choose(crowd, key, slack)


def least_for(key: int) -> int:
    """Return a seed that ranks last for a key, so that it is preferred by nobody."""
    return min(range(200), key=lambda seed: hash((seed ^ key, key, seed)))


def test_a_replica_that_leaves_moves_only_its_own_prefixes() -> None:
    """The others stay where they are."""
    replicas = stubs(0, 0, 0, 0)
    for key in range(500):
        before = choose(replicas, key, 0)
        if before is not replicas[3]:
            assert choose(replicas[:3], key, 0) is before
