"""Rows unlike the others: far longer or shorter, damaged letters, answers that only echo.

It refuses to judge what a row means.
"""

import math
import re
import zlib
from array import array

import numpy as np
from numpy.typing import NDArray

from registry.inspection.gathered import Gathered
from registry.inspection.records import Notes
from registry.inspection.view import View
from registry.likeness import normal

FAR = 6.0
"""Distance from the median, in robust standard deviations of the log-length, that is unusual
(Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993, advise 3.5 for normal data)."""
MIN_ROWS = 30
"""Fewest rows for a usual length."""
_NORMAL = 1.4826
_NARROWEST = 0.15
_RUN = re.compile(r"(\S)\1{60}")
_LONG = 1_000
_MONOTONE = 0.04
_DAMAGED = re.compile("\ufffd|[\x00-\x08\x0b\x0c\x0e-\x1f]|Ã[\x80-\xbf]|â€[œ™“”\x9d]|Â[\xa0-\xbf]")
_MIN_ECHO = 20


class OddityLook:
    """Rows unlike the others."""

    def __init__(self) -> None:
        self._lines = array("Q")
        self._prompts = array("f")
        self._answers = array("f")
        self._sure: dict[int, str] = {}
        self._echoes: list[int] = []

    def see(self, view: View) -> None:
        """Look at a row."""
        self._lines.append(view.line)
        self._prompts.append(math.log1p(len(view.prompt)))
        self._answers.append(math.log1p(len(view.answer)))
        for text in (view.prompt, view.answer):
            if not text.isascii() and _DAMAGED.search(text):
                self._sure.setdefault(view.line, "has letters that were damaged by an encoding")
            elif _is_monotone(text):
                self._sure.setdefault(view.line, "repeats one piece of text many times")
        if len(view.answer) >= _MIN_ECHO and normal(view.answer) in normal(view.prompt):
            self._echoes.append(view.line)

    def result(self) -> Notes:
        """Return the rows."""
        found = dict(self._sure)
        if len(self._echoes) <= 0.02 * len(self._lines):  # else it is the task
            for line in self._echoes:
                found.setdefault(line, "answers with a piece of its own prompt")
        for lengths, what in ((self._prompts, "prompt"), (self._answers, "answer")):
            for index, far in _far(np.frombuffer(lengths, dtype=np.float32)):
                kind = "longer" if far > 0 else "shorter"
                found.setdefault(self._lines[index], f"its {what} is far {kind} than others")
        odd = Gathered()
        for line in sorted(found):
            odd.add(line, found[line])
        return odd.notes()


def _is_monotone(text: str) -> bool:
    if _RUN.search(text):
        return True
    content = text.encode("utf-8", "replace")
    return len(content) > _LONG and len(zlib.compress(content, 1)) < _MONOTONE * len(content)


def _far(lengths: NDArray[np.float32]) -> list[tuple[int, float]]:
    if len(lengths) < MIN_ROWS:
        return []
    middle = np.median(lengths)
    spread = max(_NARROWEST, _NORMAL * float(np.median(np.abs(lengths - middle))))
    distance = (lengths - middle) / spread
    return [(int(index), float(distance[index])) for index in np.flatnonzero(abs(distance) > FAR)]
