"""Which texts of a file are nearly the same: candidates by MinHash, then the texts themselves.

It refuses to know rows and files, and what likeness is (`registry.likeness`). One pass, bounded
memory. Broder, "On the resemblance and containment of documents", 1997, DOI
10.1109/SEQUEN.1997.666900; bands as in Leskovec, Rajaraman and Ullman, "Mining of Massive
Datasets", chapter 3.
"""

from functools import partial
from typing import NamedTuple

import numpy as np
import rensa
from numpy.typing import NDArray

from registry.likeness import (
    MAX_CHARACTERS,
    MIN_PIECES,
    THRESHOLD,
    Shared,
    boilerplate,
    normal,
    own_pieces,
    pieces_of,
    similarity,
)

PERMUTATIONS = 120
"""Hashes in a signature: the estimate's standard error at a similarity of 0.75 is 0.04."""
BANDS = 24
"""Bands of five hashes: two texts of similarity 0.75 meet in one with probability 0.998, of 0.65
with 0.95, of 0.2 with 0.008."""
SLACK = 0.1
"""Below the threshold, an estimate from which a candidate is looked at."""
MAX_COMPARED = 200_000
"""Most texts that are compared; what comes later is not."""
MAX_KEPT_BYTES = 128 * 1024 * 1024
"""Bytes of texts that are kept to be looked at; of what comes later the estimate decides."""
_CHUNK = 1_000
_SEED = 42
_PAIRS_AT_ONCE = 50_000


class Like(NamedTuple):
    """A text and an earlier one that it resembles."""

    place: int
    """The text's place, from 0."""
    other: int
    """The other's."""
    similarity: float
    """Share of common pieces."""


class Signatures:
    """Signatures of texts, made in chunks as the texts come."""

    def __init__(self, shared: Shared | None = None) -> None:
        self._waiting: list[str] = []
        self._made: list[NDArray[np.uint32]] = []
        self._sizes: list[NDArray[np.int64]] = []
        self._count = 0
        self._pieces = 0
        self._shared_pieces = 0
        self._texts: list[bytes] = []
        self._kept_bytes = 0
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
        self._waiting.append(normal(text[:MAX_CHARACTERS]))
        if len(self._waiting) >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        """Make signatures of what waits."""
        if not self._waiting:
            return
        pieces = pieces_of(self._waiting)
        self._keep(self._waiting)
        self._waiting.clear()
        if self.shared is None:
            self.shared = boilerplate(pieces)
        own = pieces.own(self.shared)
        self._pieces += len(pieces.hashes)
        self._shared_pieces += len(pieces.hashes) - len(own.hashes)
        sizes = np.bincount(own.owners, minlength=own.texts)
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint64)
        matrix = rensa.RMinHash.digest_matrix_from_flat_token_hashes(
            own.hashes, offsets, num_perm=PERMUTATIONS, seed=_SEED
        )
        self._made.append(np.array(matrix.to_rows(), dtype=np.uint32))
        self._sizes.append(sizes)

    def _keep(self, texts: list[str]) -> None:
        for text in texts:
            content = text.encode("utf-8", "surrogatepass")
            self._kept_bytes += len(content)
            if self._kept_bytes <= MAX_KEPT_BYTES:
                self._texts.append(content)

    def pieces(self, place: int) -> frozenset[int] | None:
        """Return the pieces of a text; none where it is not kept."""
        if place >= len(self._texts) or self.shared is None:
            return None
        return own_pieces(self._texts[place].decode("utf-8", "surrogatepass"), self.shared)

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
    return [
        like
        for like in map(
            partial(_checked, signatures, signatures), _best(matrix, matrix, later, earlier)
        )
        if like.similarity >= THRESHOLD
    ]


def likest_between(ours: Signatures, theirs: Signatures) -> list[Like]:
    """Return each of our texts that resembles one of theirs, with the one it resembles most."""
    first, second = ours.matrix(), theirs.matrix()
    usable = np.concatenate([ours.is_comparable(), theirs.is_comparable()])
    pairs = _candidates(np.concatenate([first, second]), np.flatnonzero(usable), split=len(first))
    found = _best(first, second, pairs[:, 0], pairs[:, 1] - len(first))
    return [
        like for like in map(partial(_checked, ours, theirs), found) if like.similarity >= THRESHOLD
    ]


def _checked(ours: Signatures, theirs: Signatures, like: Like) -> Like:
    """Return a candidate with the similarity of the texts themselves, where both are kept."""
    one, other = ours.pieces(like.place), theirs.pieces(like.other)
    if one is None or other is None:
        return like
    return like._replace(similarity=round(similarity(one, other), 3))


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
    """Return, for each of ours, the pair with the highest estimate near the threshold."""
    best: dict[int, Like] = {}
    for start in range(0, len(ours), _PAIRS_AT_ONCE):
        mine, other = ours[start : start + _PAIRS_AT_ONCE], theirs[start : start + _PAIRS_AT_ONCE]
        alike = (first[mine] == second[other]).mean(axis=1)
        for place in np.flatnonzero(alike >= THRESHOLD - SLACK).tolist():
            like = Like(int(mine[place]), int(other[place]), round(float(alike[place]), 3))
            known = best.get(like.place)
            if known is None or like.similarity > known.similarity:
                best[like.place] = like
    return [best[index] for index in sorted(best)]
