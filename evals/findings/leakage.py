"""Examined rows that stand in the training file too, exactly or nearly.

It refuses to know scores. The training file passes through once, row by row; memory holds the
examined rows only.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from registry.chatdata import Row
from registry.records import Record

NEAR = 0.8
"""Share of common word runs (Jaccard) from which two rows are nearly the same."""
RUN_WORDS = 3
"""Words of a run."""
SHOWN = 20
"""Leaks shown one by one."""
_WORD = re.compile(r"\w+|[^\w\s]")


class Leak(Record, frozen=True, kw_only=True):
    """One examined row that was trained on."""

    row: int
    """Row number in the held-out file, from 0."""
    training_line: int
    """Line of the most similar training row, from 1."""
    similarity: float
    """1 for the same prompt and answer, else the share of common word runs."""


class Leaks(Record, frozen=True, kw_only=True):
    """What was found."""

    examined: int
    """Rows that were looked for."""
    trained: int
    """Training rows that were looked through."""
    exact: list[int]
    """Examined rows that stand in the training file, but for case and spacing."""
    near: list[int]
    """Examined rows of which a training row shares at least `NEAR` of the word runs."""
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

    Candidates come from an index of each examined row's rarest runs: a training row that shares
    none of them cannot reach `NEAR` (prefix filtering: Bayardo, Ma and Srikant, WWW 2007,
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
    index = _index(texts)
    best: dict[str, _Match] = {}
    trained = 0
    for row in training:
        trained += 1
        text = _text(row)
        if text in texts:
            _note(best, text, _Match(line=row.line, similarity=1.0))
        else:
            _note_near(best, index, row.line, text)
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


def _index(texts: Mapping[str, list[int]]) -> dict[str, list[tuple[str, frozenset[str]]]]:
    """Return the examined texts by each of their rarest runs."""
    every = {text: _runs(text) for text in texts}
    counts = Counter(run for runs in every.values() for run in runs)
    index: dict[str, list[tuple[str, frozenset[str]]]] = {}
    for text, runs in every.items():
        rarest = sorted(runs, key=lambda run: (counts[run], run))
        # With |A| runs, sharing at least NEAR · |A| means sharing one of the first few.
        for run in rarest[: len(runs) - int(NEAR * len(runs)) + 1]:
            index.setdefault(run, []).append((text, runs))
    return index


def _note_near(
    best: dict[str, _Match],
    index: Mapping[str, list[tuple[str, frozenset[str]]]],
    line: int,
    text: str,
) -> None:
    runs = _runs(text)
    candidates = {found[0]: found[1] for run in runs for found in index.get(run, ())}
    for other, theirs in candidates.items():
        similarity = len(runs & theirs) / len(runs | theirs)
        if similarity >= NEAR:
            # Equal runs are not equal texts: only those count as exact.
            capped = min(similarity, 1 - 1e-9)
            _note(best, other, _Match(line=line, similarity=capped))


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
    return " ".join(" ".join(parts).casefold().split())


def _runs(text: str) -> frozenset[str]:
    words = _WORD.findall(text)
    last = max(len(words) - RUN_WORDS + 1, 1)
    return frozenset(" ".join(words[start : start + RUN_WORDS]) for start in range(last))
