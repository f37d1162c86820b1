"""When two texts count as nearly the same: one definition for files before training and for exams.

It refuses to know rows and files, and how candidates are found. Two texts are alike when they share
at least `THRESHOLD` (Jaccard) of their pieces: every five characters in a row of the text without
letter case and spacing. Pieces that a tenth of the texts share are boilerplate (a template, a
label) and do not count.
"""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.65
"""Share of common pieces from which two texts are nearly the same: two words changed among twenty
leave 0.7, and texts about the same thing in other words reach 0.3."""
MIN_PIECES = 12
"""Fewest pieces of its own that a text needs to be compared: "yes" resembles every "yes"."""
MAX_CHARACTERS = 20_000
"""Characters of a text that count: the first ones."""
PIECE = 5
"""Characters of a piece."""
_SLOTS = 1 << 21
_SHARED_SHARE = 0.1
_MIN_SHARING = 20
_MIN_SAMPLE = 100

Shared = NDArray[np.bool_]
"""Which pieces are boilerplate, by slot."""


class Pieces(NamedTuple):
    """The pieces of several texts."""

    hashes: NDArray[np.uint64]
    """Hash of each piece."""
    owners: NDArray[np.int64]
    """Place of the text that it belongs to."""
    texts: int
    """Texts."""

    def own(self, shared: Shared) -> "Pieces":
        """Return the pieces that are no boilerplate."""
        kept = ~shared[_slots(self.hashes)]
        return Pieces(self.hashes[kept], self.owners[kept], self.texts)


def normal(text: str) -> str:
    """Return a text's words: one letter case, one space between them, one form for each letter."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return " ".join(plain.casefold().split())


def pieces_of(texts: Sequence[str]) -> Pieces:
    """Return the pieces of texts that are `normal` already, and not too long."""
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(letters) < PIECE:
        return Pieces(np.empty(0, np.uint64), np.empty(0, np.int64), len(texts))
    wide = letters.astype(np.uint64)
    length = len(wide) - PIECE + 1
    hashes = np.zeros(length, dtype=np.uint64)
    for offset in range(PIECE):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += wide[offset : offset + length]
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(32)
    owners = np.repeat(np.arange(len(texts)), lengths)
    inside = owners[:length] == owners[PIECE - 1 :]
    return Pieces(hashes[inside], owners[:length][inside], len(texts))


def boilerplate(pieces: Pieces) -> Shared:
    """Return which pieces too many of the texts have; none where there are few texts."""
    if pieces.texts < _MIN_SAMPLE:
        return np.zeros(_SLOTS, dtype=np.bool_)
    once = np.unique(_slots(pieces.hashes) * pieces.texts + pieces.owners)
    counts = np.bincount(once // pieces.texts, minlength=_SLOTS)
    shared: Shared = counts > max(_MIN_SHARING, _SHARED_SHARE * pieces.texts)
    return shared


def own_pieces(text: str, shared: Shared) -> frozenset[int]:
    """Return the different pieces of one `normal` text that are no boilerplate."""
    return frozenset(pieces_of([text[:MAX_CHARACTERS]]).own(shared).hashes.tolist())


def similarity(one: frozenset[int], other: frozenset[int]) -> float:
    """Return the share of common pieces, from 0 to 1; 0 where a text has too few of its own."""
    if min(len(one), len(other)) < MIN_PIECES:
        return 0.0
    common = len(one & other)
    return common / (len(one) + len(other) - common)


def _slots(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (hashes % np.uint64(_SLOTS)).astype(np.int64)
