"""Which replica should hold which adapter version. Pure.

It refuses to know what the replicas hold now; loading and evicting are decided in `wanted.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from itertools import islice

_REMEMBERED = 4096
COPIED_SHARE = 0.75
"""Share of all places that second and further homes may take together with the first: what is left
keeps a full replica from pushing versions away from where they rank."""


@dataclass(frozen=True, kw_only=True)
class Demand:
    """The versions that somebody wants loaded, the most urgent first, each once in all."""

    fixed: Sequence[str]
    """Named by deployments, or pinned: every replica holds them, whatever the room."""
    others: Sequence[str]
    """Those that requests wait for, then the most recently used."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where each version belongs."""

    homes: Mapping[str, tuple[str, ...]]
    """Replicas that should hold a version, by its name; none for a version without a place."""
    held: Mapping[str, tuple[str, ...]]
    """Versions that a replica should hold, the most urgent first, by the replica's name."""


def place(demand: Demand, replicas: Sequence[str], room: int) -> Placement:
    """Return where the versions belong.

    When all fit on every replica, every replica holds all. Otherwise the fixed ones are everywhere,
    and each other version goes to few replicas, to those that rank highest for it by rendezvous
    hashing and have a place left; so a replica that comes or goes moves few of them.

    Args:
        demand: The wanted versions.
        replicas: Names of the replicas that are there.
        room: Most versions on one replica; fixed ones may exceed it.
    """
    fixed, others = list(demand.fixed), list(demand.others)
    homes = dict.fromkeys(fixed, tuple(replicas))
    if len(fixed) + len(others) <= room:
        homes |= dict.fromkeys(others, tuple(replicas))
    else:
        homes |= _spread(others, replicas, max(0, room - len(fixed)))
    held: dict[str, list[str]] = {name: [] for name in replicas}
    for version, where in homes.items():
        for name in where:
            held[name].append(version)
    return Placement(homes=homes, held={name: tuple(some) for name, some in held.items()})


def _spread(
    versions: Sequence[str], replicas: Sequence[str], places: int
) -> dict[str, tuple[str, ...]]:
    there = tuple(replicas)
    left = dict.fromkeys(there, places) if places else {}
    spare = int(COPIED_SHARE * places * len(replicas))
    copies = min(len(replicas), max(1, spare // max(1, len(versions))))
    homes: dict[str, tuple[str, ...]] = {}
    for version in versions:
        if not left:  # the rest, the least recently used, has no place
            break
        able = (name for name in ranked(version, there) if name in left)
        homes[version] = tuple(islice(able, copies))
        for name in homes[version]:
            left[name] -= 1
            if not left[name]:
                del left[name]
    return homes


@lru_cache(maxsize=_REMEMBERED)
def ranked(version: str, replicas: tuple[str, ...]) -> tuple[str, ...]:
    """Return the replicas, the one that should hold a version first.

    Remembered, for the placement is drawn anew every second: with 1,000 versions on 16 replicas the
    hashes alone take 20 ms.
    """
    return tuple(sorted(replicas, key=lambda name: _weight(version, name), reverse=True))


def _weight(version: str, replica: str) -> int:
    digest = blake2b(f"{version}\0{replica}".encode(), digest_size=8).digest()
    return int.from_bytes(digest)
