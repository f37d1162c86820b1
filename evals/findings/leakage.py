"""Examined rows that stand in the training file too, exactly or nearly.

It refuses to know scores. The training file passes through once, row by row; memory holds the
examined rows only.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain, islice

from registry.chatdata import Row
from registry.likeness import (
    MAX_CHARACTERS,
    MIN_PIECES,
    THRESHOLD,
    boilerplate,
    normal,
    own_pieces,
    pieces_of,
    similarity,
)
from registry.records import Record

SAMPLE = 1_000
"""Training rows in which boilerplate is seen, beside the examined ones."""
SHOWN = 20
"""Leaks shown one by one."""
_Index = dict[int, list[tuple[str, frozenset[int]]]]


class Leak(Record, frozen=True, kw_only=True):
    """One examined row that was trained on."""

    row: int
    """Row number in the held-out file, from 0."""
    training_line: int
    """Line of the most similar training row, from 1."""
    similarity: float
    """1 for the same prompt and answer, else the share of common pieces."""


class Leaks(Record, frozen=True, kw_only=True):
    """What was found."""

    examined: int
    """Rows that were looked for."""
    trained: int
    """Training rows that were looked through."""
    exact: list[int]
    """Examined rows that stand in the training file, but for case and spacing."""
    near: list[int]
    """Examined rows that a training row nearly repeats, as `registry.likeness` has it."""
    shown: list[Leak]
    """The first ones, most similar first."""

    @property
    def rows(self) -> frozenset[int]:
        """Every leaked row."""
        return frozenset((*self.exact, *self.near))


class _Match(Record, frozen=True, kw_only=True):
    line: int
    similarity: float


def search(training: Iterable[Row], examined: Mapping[int, Row]) -> Leaks:
    """Look for examined rows in the training rows.

    Candidates come from an index of each examined row's rarest pieces: a training row that shares
    none of them cannot be near (prefix filtering: Bayardo, Ma and Srikant, WWW 2007,
    doi:10.1145/1242572.1242591). Instructions (system messages) do not count: whole files share
    them.

    Args:
        training: The training rows, in one pass.
        examined: The examined rows, by number.

    Raises:
        InvalidData: From the iterator, when the training file has faulty rows.
    """
    texts: dict[str, list[int]] = {}
    for number, row in examined.items():
        texts.setdefault(_text(row), []).append(number)
    rest = iter(training)
    sample = list(islice(rest, SAMPLE))
    seen = [*texts, *map(_text, sample)]
    shared = boilerplate(pieces_of([text[:MAX_CHARACTERS] for text in seen]))
    index = _index({text: own_pieces(text, shared) for text in texts})
    best: dict[str, _Match] = {}
    trained = 0
    for row in chain(sample, rest):
        trained += 1
        text = _text(row)
        if text in texts:
            _note(best, text, _Match(line=row.line, similarity=1.0))
        else:
            _note_near(best, index, row.line, own_pieces(text, shared))
    return _leaks(best, texts, len(examined), trained)


def _leaks(
    best: Mapping[str, _Match], texts: Mapping[str, list[int]], examined: int, trained: int
) -> Leaks:
    ordered = sorted(best, key=lambda text: (-best[text].similarity, texts[text][0]))
    exact = sorted(row for text in best if best[text].similarity >= 1 for row in texts[text])
    near = sorted(row for text in best if best[text].similarity < 1 for row in texts[text])
    return Leaks(
        examined=examined,
        trained=trained,
        exact=exact,
        near=near,
        shown=[
            Leak(
                row=texts[text][0],
                training_line=best[text].line,
                similarity=best[text].similarity,
            )
            for text in ordered[:SHOWN]
        ],
    )


def _index(texts: Mapping[str, frozenset[int]]) -> _Index:
    """Return the examined texts by each of their rarest pieces."""
    counts = Counter(piece for pieces in texts.values() for piece in pieces)
    index: _Index = {}
    for text, pieces in texts.items():
        if len(pieces) < MIN_PIECES:
            continue
        rarest = sorted(pieces, key=lambda piece: (counts[piece], piece))
        # With |A| pieces, sharing at least THRESHOLD · |A| means sharing one of the first few.
        for piece in rarest[: len(pieces) - int(THRESHOLD * len(pieces)) + 1]:
            index.setdefault(piece, []).append((text, pieces))
    return index


def _note_near(best: dict[str, _Match], index: _Index, line: int, pieces: frozenset[int]) -> None:
    candidates = {found[0]: found[1] for piece in pieces for found in index.get(piece, ())}
    for other, theirs in candidates.items():
        alike = similarity(pieces, theirs)
        if alike >= THRESHOLD:
            # Equal pieces are not equal texts: only those count as exact.
            _note(best, other, _Match(line=line, similarity=min(alike, 1 - 1e-9)))


def _note(best: dict[str, _Match], text: str, match: _Match) -> None:
    if text not in best or match.similarity > best[text].similarity:
        best[text] = match


def _text(row: Row) -> str:
    """Return a row's own words, without instructions, case and spacing."""
    if row.messages is None:
        parts = [row.prompt or "", row.completion or ""]
    else:
        parts = [
            f"{message['role']} {message.get('content') or ''} {message.get('tool_calls') or ''}"
            for message in row.messages
            if message.get("role") not in {"system", "developer"}
        ]
    return normal(" ".join(parts))
