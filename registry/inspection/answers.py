"""The answers of a file: a small set of labels, a common format, ends that are missing.

It refuses to know prompts.
"""

import math
import re
from collections import Counter
from json import JSONDecodeError
from typing import Any

import msgspec

from registry.inspection.exposure import patterns_in
from registry.inspection.gathered import Gathered
from registry.inspection.records import AnswerFormat, KeySet, Label, Labels, Notes
from registry.inspection.view import View

MAX_LABELS = 50
"""Most different answers that count as a small set."""
MAX_LABEL_CHARACTERS = 80
"""Longest answer that may be a label."""
ROWS_PER_LABEL = 4
"""Fewest rows for each label in the mean: fewer are no labels but answers."""
MOST = 0.9
"""Share of the answers that makes a habit of what they do."""
MIN_ANSWERS = 20
"""Fewest answers that make a habit."""
_COUNTED = 400
_FIRST_LINES = 20
_RARE_SHARE = 0.002
_LONG = 40
_END_CHARACTERS = 16
_MAX_KEY_SETS = 20
_ENDS = re.compile(r"[.!?…。！？؟।:;)\]}>\"'”’»」*`|~]\s*$|[^\w\s,(\[{<«“\-–—/&+=]\s*$")  # noqa: RUF001 - other scripts end so
_OPEN_END = re.compile(
    r"(?:[,(\[{«“\-–—/&+=]|\b(?:and|or|the|a|an|of|to|in|for|with|that|which|because|is|are|und|oder|"
    r"der|die|das|et|ou|le|la|les|de|des|y|o|el|los|que))\s*$",
    re.IGNORECASE,
)


class LabelLook:
    """Whether the answers form a small set, and how it is balanced."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines: dict[str, list[int]] = {}
        self._rows = 0
        self._is_over = False

    def see(self, view: View) -> None:
        """Look at a row."""
        self._rows += 1
        if self._is_over:
            return
        if len(view.answer) > MAX_LABEL_CHARACTERS or len(self._counts) > _COUNTED:
            self._is_over = True
            self._lines.clear()
            return
        self._counts[view.answer] += 1
        lines = self._lines.setdefault(view.answer, [])
        if len(lines) < _FIRST_LINES:
            lines.append(view.line)

    def result(self) -> Labels | None:
        """Return the labels; none when the answers are no small set."""
        different = len(self._counts)
        if self._is_over or different > MAX_LABELS or self._rows < MIN_ANSWERS:
            return None
        if different < 2 or self._rows < ROWS_PER_LABEL * different:
            return None
        few = max(1, int(_RARE_SHARE * self._rows))
        rare = Gathered()
        for answer, count in self._counts.items():
            for line in self._lines[answer] if count <= few else ():
                rare.add(line)
        return Labels(
            answers=[
                Label(
                    answer=_shown(answer),
                    rows=count,
                    lines=self._lines[answer] if count <= few else [],
                )
                for answer, count in self._counts.most_common()
            ],
            balance=round(_balance(list(self._counts.values())), 4),
            rare=rare.lines(),
        )


class FormatLook:
    """Whether the answers are JSON, and agree on its fields."""

    def __init__(self) -> None:
        self._rows = 0
        self._json = 0
        self._key_sets: Counter[tuple[str, ...]] = Counter()
        self._lines: dict[tuple[str, ...], Gathered] = {}
        self._others = Gathered()

    def see(self, view: View) -> None:
        """Look at a row."""
        self._rows += 1
        value = _json_of(view.answer)
        if value is None:
            self._others.add(view.line, "is not JSON")
            return
        self._json += 1
        keys = tuple(sorted(map(str, value))) if isinstance(value, dict) else ("[]",)
        if len(self._key_sets) > _COUNTED and keys not in self._key_sets:
            keys = ("…",)
        self._key_sets[keys] += 1
        self._lines.setdefault(keys, Gathered()).add(view.line)

    def result(self) -> AnswerFormat:
        """Return the format; odd ones only where most answers agree."""
        share = self._json / self._rows if self._rows else 0.0
        common = self._key_sets.most_common(_MAX_KEY_SETS)
        return AnswerFormat(
            json_share=round(share, 4),
            key_sets=[KeySet(keys=list(keys)[:100], rows=rows) for keys, rows in common],
            odd=self._odd(share).notes(),
        )

    def _odd(self, share: float) -> Gathered:
        odd = Gathered()
        if share < MOST or self._rows < MIN_ANSWERS:
            return odd
        found = [(note.line, note.what) for note in self._others.notes().rows]
        usual, count = self._key_sets.most_common(1)[0]
        if count >= MOST * self._json:
            for keys, lines in self._lines.items():
                if keys != usual:
                    what = _difference(set(usual), set(keys))
                    found += [(line, what) for line in lines.lines().lines]
        for line, what in sorted(found):
            odd.add(line, what)
        return odd


class EndLook:
    """Answers that seem cut off: by what all answers do at their end, or by what none would."""

    def __init__(self) -> None:
        self._long = 0
        self._ended = 0
        self._fences = 0
        self._open_ends = Gathered()
        self._unended = Gathered()
        self._sure = Gathered()

    def see(self, view: View) -> None:
        """Look at a row."""
        answer = view.answer.rstrip()
        reason = _sure_reason(answer)
        if reason:
            self._sure.add(view.line, reason)
            return
        if len(answer) < _LONG or _json_of(answer) is not None:
            return
        self._long += 1
        end = answer[-_END_CHARACTERS:]
        if _OPEN_END.search(end):
            self._open_ends.add(view.line, "ends in the middle of a sentence")
        elif _ENDS.search(end):
            self._ended += 1
        else:
            self._unended.add(view.line, "ends without a mark, unlike nearly all others")

    def result(self) -> Notes:
        """Return the rows."""
        found = [*self._sure.notes().rows]
        if self._long >= MIN_ANSWERS and len(self._open_ends) <= (1 - MOST) * self._long:
            found += self._open_ends.notes().rows
        without = len(self._open_ends) + len(self._unended)
        if self._long >= MIN_ANSWERS and without <= (1 - MOST) * self._long:
            found += self._unended.notes().rows
        cut = Gathered()
        for note in sorted(found, key=lambda note: note.line):
            cut.add(note.line, note.what)
        return cut.notes()


def _sure_reason(answer: str) -> str | None:
    """Return why an answer cannot be whole; none when it may be."""
    if answer.startswith(("{", "[")) and not answer.endswith(("}", "]", ")")):
        value = _json_of(answer)
        if value is None and re.match(r'[\[{]\s*["\[{\]}\d-]', answer):
            return "is JSON without its end"
    if answer.count("```") % 2:
        return "opens a block of code and does not close it"
    return None


def _json_of(text: str) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the object or list that a text is, else none."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
    except (msgspec.DecodeError, JSONDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _difference(usual: set[str], keys: set[str]) -> str:
    lacking = ", ".join(sorted(usual - keys))[:100]
    more = ", ".join(sorted(keys - usual))[:100]
    parts = [f"lacks {lacking}" if lacking else "", f"has {more} besides" if more else ""]
    return " and ".join(part for part in parts if part)


def _shown(answer: str) -> str:
    """Return a label, unless it is what a report never repeats."""
    found = patterns_in(answer)
    return f"(looks like: {found[0]})" if found else answer


def _balance(counts: list[int]) -> float:
    total = sum(counts)
    entropy = -sum(count / total * math.log(count / total) for count in counts)
    return entropy / math.log(len(counts))
