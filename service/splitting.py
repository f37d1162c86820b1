"""Which arm of a deployment a unit meets: sticky, proportional, monotone in the weight.

It refuses to know what the arms are, and draws nothing at random itself.
"""

from functools import lru_cache
from hashlib import sha256

from registry.records import Arm

_DIGITS = 13
"""Hexadecimal digits of a hash that a float holds exactly (52 bits)."""
_PLACES = 1 << (4 * _DIGITS)


@lru_cache(maxsize=4096)  # units come again
def hash_unit(salt: str, unit: str) -> str:
    """Return the hash of a unit, 64 hexadecimal digits; the unit cannot be read back from it."""
    return sha256(f"{salt}\0{unit}".encode("utf-8", "surrogatepass")).hexdigest()


def position_of(unit_hash: str) -> float:
    """Return a unit's place in [0, 1), uniform over units."""
    return int(unit_hash[:_DIGITS], 16) / _PLACES


def choose_arm(position: float, candidate_weight: float) -> Arm:
    """Return the arm of a place in [0, 1).

    A unit keeps its place, so one that met the candidate stays with it while the weight grows.
    """
    return Arm.CANDIDATE if position < candidate_weight else Arm.STABLE
