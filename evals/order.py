"""A seeded order of rows that needs no memory of the whole file.

It refuses to know what the rows are for.
"""

import heapq
from collections.abc import Iterable
from hashlib import sha256

from registry.chatdata import Row
from registry.records import Record


class Numbered(Record, frozen=True, kw_only=True):
    """A row and its place in the file."""

    number: int
    """Row number in the file, from 0; empty lines do not count."""
    row: Row
    """The row."""


def first_of_order(rows: Iterable[Numbered], count: int, seed: int) -> list[Numbered]:
    """Return the first `count` rows of the order that `seed` gives.

    The order sorts by a hash of seed and number, so it depends on nothing else: a larger `count`
    only adds rows, and a file of any size passes through memory of `count` rows.
    """
    return heapq.nsmallest(count, rows, key=lambda entry: _rank(seed, entry.number))


def numbered(rows: Iterable[Row]) -> Iterable[Numbered]:
    """Number rows from 0."""
    return (Numbered(number=number, row=row) for number, row in enumerate(rows))


def _rank(seed: int, number: int) -> bytes:
    return sha256(f"{seed}:{number}".encode()).digest()
