"""Which of the replicas that can answer a request gets it. Pure, and on every request's path.

It refuses to know what the replicas hold and how they are.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

PREFIX_SLACK = 4
"""Requests by which the replica that knows a prefix may be busier than the least busy one."""


class Candidate(Protocol):
    """A replica, as far as the choice needs to know it."""

    outstanding: int
    """Requests it is answering for this process."""
    seed: int
    """A number of its own, the same in every process."""


C = TypeVar("C", bound=Candidate)


def choose(candidates: Sequence[C], key: int, slack: int) -> C:
    """Return the replica that gets a request; there must be one.

    The highest random weight decides (Thaler and Ravishankar 1998, doi:10.1109/90.663936): the same
    key prefers the same replica, and a replica that leaves moves only its own keys. The preferred
    replica gets the request while it is at most `slack` requests busier than the least busy one;
    else the least busy ones are ranked alike.

    The hash of a pair of integers is too regular for this; of these three it spreads well.

    Args:
        candidates: Replicas that can answer.
        key: Hash of the request's prefix, or any number that is new each time.
        slack: 0 for the least busy replica always.
    """
    if len(candidates) == _PAIR:
        return _of_two(candidates[0], candidates[1], key, slack)
    preferred = candidates[0]
    seed = preferred.seed
    least, highest = preferred.outstanding, hash((seed ^ key, key, seed))
    for candidate in candidates[1:]:
        outstanding, seed = candidate.outstanding, candidate.seed
        weight = hash((seed ^ key, key, seed))
        if outstanding < least:
            least = outstanding
        if weight > highest:
            preferred, highest = candidate, weight
    if preferred.outstanding <= least + slack:
        return preferred
    idle = [candidate for candidate in candidates if candidate.outstanding == least]
    return max(idle, key=lambda one: hash((one.seed ^ key, key, one.seed)))


_PAIR = 2


def _of_two(one: C, other: C, key: int, slack: int) -> C:
    """Return what `choose` returns, at half the cost: two replicas are the commonest fleet."""
    busier = one.outstanding - other.outstanding
    if busier > slack:
        return other
    if -busier > slack:
        return one
    mine, theirs = one.seed, other.seed
    return one if hash((mine ^ key, key, mine)) >= hash((theirs ^ key, key, theirs)) else other
