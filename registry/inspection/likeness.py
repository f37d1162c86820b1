"""Which texts are nearly the same: MinHash signatures, banded, in one pass and bounded memory.

It refuses to know rows and files. Broder, "On the resemblance and containment of documents", 1997,
DOI 10.1109/SEQUEN.1997.666900; bands as in Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", chapter 3. Pieces are five characters long; those that a tenth of the first texts share
are boilerplate (a template, a label) and do not count.
"""

from typing import NamedTuple

import numpy as np
import rensa
from numpy.typing import NDArray

from registry.inspection.view import normal

PERMUTATIONS = 120
"""Hashes in a signature: the estimate's standard error at a similarity of 0.75 is 0.04."""
BANDS = 24
"""Bands of five hashes: two texts of similarity 0.75 meet in one with probability 0.998, of 0.65
with 0.95, of 0.2 with 0.008."""
THRESHOLD = 0.65
"""Estimated similarity from which two texts count as nearly the same: two words changed among
twenty leave 0.7, and texts about the same thing in other words reach 0.3."""
MAX_COMPARED = 200_000
"""Most texts that are compared; what comes later is not."""
MIN_PIECES = 12
"""Fewest pieces of its own that a text needs to be compared: "yes" resembles every "yes"."""
_PIECE = 5
_MAX_CHARACTERS = 20_000
_CHUNK = 1_000
_SEED = 42
_SLOTS = 1 << 21
_SHARED_SHARE = 0.1
_MIN_SHARING = 20
_MIN_SAMPLE = 100
_PAIRS_AT_ONCE = 50_000


class Like(NamedTuple):
    """A text and an earlier one that it resembles."""

    place: int
    """The text's place, from 0."""
    other: int
    """The other's."""
    similarity: float
    """Estimated."""


class Signatures:
    """Signatures of texts, made in chunks as the texts come."""

    def __init__(self, shared: NDArray[np.bool_] | None = None) -> None:
        self._waiting: list[str] = []
        self._made: list[NDArray[np.uint32]] = []
        self._sizes: list[NDArray[np.int64]] = []
        self._count = 0
        self._pieces = 0
        self._shared_pieces = 0
        self.shared = shared
        """Which pieces are boilerplate, by slot; found in the first chunk unless given."""

    @property
    def count(self) -> int:
        """Texts that were taken."""
        return self._count

    @property
    def boilerplate(self) -> float:
        """Share of the pieces that are boilerplate."""
        return self._shared_pieces / self._pieces if self._pieces else 0.0

    def add(self, text: str) -> None:
        """Take a text, unless there are enough."""
        if self._count >= MAX_COMPARED:
            return
        self._count += 1
        self._waiting.append(normal(text[:_MAX_CHARACTERS]))
        if len(self._waiting) >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        """Make signatures of what waits."""
        if not self._waiting:
            return
        pieces = _pieces_of(self._waiting)
        self._waiting.clear()
        if self.shared is None:
            self.shared = _shared_slots(pieces)
        kept = ~self.shared[_slots(pieces.hashes)]
        self._pieces += len(kept)
        self._shared_pieces += int(len(kept) - kept.sum())
        own = _Pieces(pieces.hashes[kept], pieces.owners[kept], pieces.texts)
        sizes = np.bincount(own.owners, minlength=own.texts)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64)
        matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
            own.hashes, offsets, num_perm=PERMUTATIONS, seed=_SEED
        )
        self._made.append(np.array(matrix.to_rows(), dtype=np.uint32))
        self._sizes.append(sizes)

    def matrix(self) -> NDArray[np.uint32]:
        """Return every signature, shape (texts, `PERMUTATIONS`)."""
        self.flush()
        empty = np.empty((0, PERMUTATIONS), dtype=np.uint32)
        return np.concatenate([empty, *self._made])

    def is_comparable(self) -> NDArray[np.bool_]:
        """Return whether each text has enough pieces of its own, shape (texts,)."""
        self.flush()
        sizes = np.concatenate([np.empty(0, dtype=np.int64), *self._sizes])
        enough: NDArray[np.bool_] = sizes >= MIN_PIECES
        return enough


def likest_earlier(signatures: Signatures) -> list[Like]:
    """Return each text that resembles an earlier one, with the one it resembles most."""
    matrix, usable = signatures.matrix(), signatures.is_comparable()
    pairs = _candidates(matrix, np.flatnonzero(usable))
    later, earlier = pairs.max(axis=1), pairs.min(axis=1)
    return _best(matrix, matrix, later, earlier)


def likest_between(ours: Signatures, theirs: Signatures) -> list[Like]:
    """Return each of our texts that resembles one of theirs, with the one it resembles most."""
    first, second = ours.matrix(), theirs.matrix()
    usable = np.concatenate([ours.is_comparable(), theirs.is_comparable()])
    pairs = _candidates(np.concatenate([first, second]), np.flatnonzero(usable), split=len(first))
    return _best(first, second, pairs[:, 0], pairs[:, 1] - len(first))


class _Pieces(NamedTuple):
    hashes: NDArray[np.uint64]
    owners: NDArray[np.int64]
    texts: int


def _pieces_of(texts: list[str]) -> _Pieces:
    """Return the hash of every five characters in a row, and which text each belongs to."""
    lengths = np.fromiter((len(text) for text in texts), dtype=np.int64, count=len(texts))
    letters = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(letters) < _PIECE:
        return _Pieces(np.empty(0, np.uint64), np.empty(0, np.int64), len(texts))
    wide = letters.astype(np.uint64)
    length = len(wide) - _PIECE + 1
    hashes = np.zeros(length, dtype=np.uint64)
    for offset in range(_PIECE):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += wide[offset : offset + length]
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(32)
    owners = np.repeat(np.arange(len(texts)), lengths)
    inside = owners[:length] == owners[_PIECE - 1 :]
    return _Pieces(hashes[inside], owners[:length][inside], len(texts))


def _slots(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    return (hashes % np.uint64(_SLOTS)).astype(np.int64)


def _shared_slots(pieces: _Pieces) -> NDArray[np.bool_]:
    """Return which slots hold pieces that too many of the texts have."""
    if pieces.texts < _MIN_SAMPLE:
        return np.zeros(_SLOTS, dtype=np.bool_)
    once = np.unique(_slots(pieces.hashes) * pieces.texts + pieces.owners)
    counts = np.bincount(once // pieces.texts, minlength=_SLOTS)
    shared: NDArray[np.bool_] = counts > max(_MIN_SHARING, _SHARED_SHARE * pieces.texts)
    return shared


def _candidates(
    matrix: NDArray[np.uint32], usable: NDArray[np.int64], split: int | None = None
) -> NDArray[np.int64]:
    """Return pairs of texts that have a whole band in common, shape (pairs, 2).

    Of a bucket with many texts each is paired with its neighbour and with the first alone, so that
    a file of nothing but likenesses costs no square. With `split`, only pairs across it.
    """
    rows = PERMUTATIONS // BANDS
    found = [np.empty((0, 2), dtype=np.int64)]
    factors = np.random.default_rng(_SEED).integers(1, 1 << 63, size=rows, dtype=np.uint64) | 1
    for band in range(BANDS):
        part = matrix[usable, band * rows : (band + 1) * rows].astype(np.uint64)
        keys = (part * factors).sum(axis=1, dtype=np.uint64)
        order = np.argsort(keys, kind="stable")
        ordered, places = keys[order], usable[order]
        found.append(_bucket_pairs(ordered, places, split))
    return np.unique(np.concatenate(found), axis=0)


def _bucket_pairs(
    keys: NDArray[np.uint64], places: NDArray[np.int64], split: int | None
) -> NDArray[np.int64]:
    if len(keys) == 0:
        return np.empty((0, 2), dtype=np.int64)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(np.concatenate([starts, [len(keys)]]))
    first = np.repeat(starts, sizes)
    position = np.arange(len(keys))
    if split is None:
        partners = np.concatenate([first, np.maximum(position - 1, first)])
        mine = np.concatenate([position, position])
        paired = partners != mine
    else:  # the order is stable: in each bucket ours stand before theirs
        is_ours = places < split
        first_theirs = first + np.repeat(np.add.reduceat(is_ours.astype(np.int64), starts), sizes)
        last = np.repeat(starts + sizes - 1, sizes)
        partners = np.concatenate([np.minimum(first_theirs, last), last])
        mine = np.concatenate([position, position])
        paired = is_ours[mine] & ~is_ours[partners]
    return np.stack([places[mine[paired]], places[partners[paired]]], axis=1)


def _best(
    first: NDArray[np.uint32],
    second: NDArray[np.uint32],
    ours: NDArray[np.int64],
    theirs: NDArray[np.int64],
) -> list[Like]:
    """Return, for each of ours, the pair with the highest estimate above the threshold."""
    best: dict[int, Like] = {}
    for start in range(0, len(ours), _PAIRS_AT_ONCE):
        mine, other = ours[start : start + _PAIRS_AT_ONCE], theirs[start : start + _PAIRS_AT_ONCE]
        alike = (first[mine] == second[other]).mean(axis=1)
        for place in np.flatnonzero(alike >= THRESHOLD).tolist():
            like = Like(int(mine[place]), int(other[place]), round(float(alike[place]), 3))
            known = best.get(like.place)
            if known is None or like.similarity > known.similarity:
                best[like.place] = like
    return [best[index] for index in sorted(best)]
