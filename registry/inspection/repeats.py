"""Rows that repeat or contradict earlier ones, and training rows that validation rows know.

It refuses to know tokens and formats.
"""

from array import array
from collections.abc import Iterable

from registry.inspection.gathered import pairs_of
from registry.inspection.likeness import Signatures, likest_between, likest_earlier
from registry.inspection.records import (
    MAX_LINES,
    Conflict,
    Contradictions,
    Leakage,
    Pair,
    Pairs,
)
from registry.inspection.view import View


class Repeats:
    """The same rows, nearly the same rows, and the same prompts with different answers."""

    def __init__(self) -> None:
        self._first_by_identity: dict[bytes, int] = {}
        self._first_by_words: dict[bytes, int] = {}
        self._questions: dict[bytes, _Asked] = {}
        self._exact: list[Pair] = []
        self._same_words: list[Pair] = []
        self._signatures = Signatures()
        self._lines = array("Q")

    def see(self, view: View) -> None:
        """Look at a row."""
        first = self._first_by_identity.setdefault(view.identity, view.line)
        if first != view.line:
            self._exact.append(Pair(line=view.line, like=first, similarity=1))
            return  # a copy says nothing new: it neither resembles nor contradicts
        first = self._first_by_words.setdefault(view.question + view.reply, view.line)
        if first != view.line:
            self._same_words.append(Pair(line=view.line, like=first, similarity=1))
            return
        asked = self._questions.get(view.question)
        if asked is None:
            self._questions[view.question] = _Asked(view.line)
        else:
            asked.again(view.line)
        self._lines.append(view.line)
        self._signatures.add(f"{view.prompt}\n{view.answer}")

    @property
    def compared(self) -> int:
        """Rows whose likeness was compared."""
        return self._signatures.count

    @property
    def boilerplate(self) -> float:
        """Share of the texts that many rows have in common."""
        return self._signatures.boilerplate

    def duplicates(self) -> Pairs:
        """Return rows that repeat an earlier one exactly."""
        return pairs_of(self._exact)

    def near_duplicates(self) -> Pairs:
        """Return rows that nearly repeat an earlier one; contradictions are told by themselves."""
        groups = {
            line: asked.first
            for asked in self._questions.values()
            if asked.others
            for line in asked.lines
        }
        found = [
            Pair(
                line=self._lines[like.place],
                like=self._lines[like.other],
                similarity=like.similarity,
            )
            for like in likest_earlier(self._signatures)
        ]
        others = [
            pair
            for pair in found
            if pair.line not in groups or groups[pair.line] != groups.get(pair.like)
        ]
        return pairs_of(self._same_words + others)

    def contradictions(self) -> Contradictions:
        """Return rows that answer otherwise than an earlier one with the same prompt."""
        asked = [entry for entry in self._questions.values() if entry.others]
        later = sorted(line for entry in asked for line in entry.others)
        groups = [
            Conflict(lines=entry.lines[:MAX_LINES], answers=len(entry.lines)) for entry in asked
        ]
        return Contradictions(count=len(later), lines=later[:MAX_LINES], groups=groups[:MAX_LINES])


class _Asked:
    """One prompt, and the rows that answer it each in its own way."""

    __slots__ = ("first", "others")

    def __init__(self, line: int) -> None:
        self.first = line
        self.others: list[int] = []

    def again(self, line: int) -> None:
        self.others.append(line)

    @property
    def lines(self) -> list[int]:
        return [self.first, *self.others]


class Leaks:
    """What training and validation rows share."""

    def __init__(self, validation: Iterable[View]) -> None:
        self._by_words: dict[bytes, int] = {}
        self._by_question: dict[bytes, int] = {}
        self._theirs = Signatures()
        self._their_lines = array("Q")
        self._ours: Signatures | None = None
        self._our_lines = array("Q")
        self._exact: list[Pair] = []
        self._same_prompt: list[Pair] = []
        self._validation_rows = 0
        for view in validation:
            self._validation_rows += 1
            self._by_words.setdefault(view.question + view.reply, view.line)
            self._by_question.setdefault(view.question, view.line)
            self._theirs.add(view.prompt)
            self._their_lines.append(view.line)
        self._theirs.flush()

    def see(self, view: View) -> None:
        """Look at a training row."""
        twin = self._by_words.get(view.question + view.reply)
        if twin is not None:
            self._exact.append(Pair(line=view.line, like=twin, similarity=1))
            return
        twin = self._by_question.get(view.question)
        if twin is not None:
            self._same_prompt.append(Pair(line=view.line, like=twin, similarity=1))
            return
        if self._ours is None:
            self._ours = Signatures(self._theirs.shared)
        if self._ours.count == len(self._our_lines):  # else there were too many already
            self._our_lines.append(view.line)
        self._ours.add(view.prompt)

    def result(self) -> Leakage:
        """Return what both sides share."""
        found = likest_between(self._ours, self._theirs) if self._ours else []
        near = [
            Pair(
                line=self._our_lines[like.place],
                like=self._their_lines[like.other],
                similarity=like.similarity,
            )
            for like in found
        ]
        return Leakage(
            validation_rows=self._validation_rows,
            exact=pairs_of(self._exact),
            same_prompt=pairs_of(self._same_prompt),
            near=pairs_of(near),
        )
