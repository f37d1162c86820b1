"""Which languages a sample of the rows is in.

It refuses to guess short texts, and to know every language: py3langid knows about a hundred.
"""

import heapq
from collections import Counter
from functools import cache
from typing import Any

from registry.inspection.gathered import Gathered
from registry.inspection.records import Language, Languages
from registry.inspection.view import View

SAMPLE_ROWS = 1_000
"""Rows that are looked at: those with the lowest hashes, the same ones every time."""
MIN_LETTERS = 60
"""Fewest letters for a guess."""
MIN_CONFIDENCE = 0.7
"""Least certainty of a guess; below it the language is unknown."""
MINORITY = 0.05
"""Largest share of the sample that makes a language a minority, whose rows are named."""
_MAX_CHARACTERS = 600
_UNKNOWN = "und"


class LanguageLook:
    """A sample of the rows and their languages."""

    def __init__(self) -> None:
        self._sample: list[tuple[int, int, str]] = []

    def see(self, view: View) -> None:
        """Look at a row: keep it if it is in the sample so far."""
        rank = -int.from_bytes(view.identity[:6])
        if len(self._sample) >= SAMPLE_ROWS and rank < self._sample[0][0]:
            return
        text = f"{view.prompt}\n{view.answer}"[:_MAX_CHARACTERS]
        if sum(map(str.isalpha, text)) < MIN_LETTERS:
            return
        entry = (rank, view.line, text)
        if len(self._sample) < SAMPLE_ROWS:
            heapq.heappush(self._sample, entry)
        else:
            heapq.heapreplace(self._sample, entry)

    def result(self) -> Languages:
        """Return the languages of the sample."""
        found = sorted((line, _language_of(text)) for _, line, text in self._sample)
        counts = Counter(language for _, language in found)
        minority = Gathered()
        for line, language in found:
            if language != _UNKNOWN and counts[language] <= MINORITY * len(found):
                minority.add(line, language)
        return Languages(
            looked_at=len(found),
            languages=[Language(language=name, rows=rows) for name, rows in counts.most_common()],
            minority=minority.notes(),
        )


def _language_of(text: str) -> str:
    language, confidence = _identifier().classify(text)
    return str(language) if confidence >= MIN_CONFIDENCE else _UNKNOWN


@cache
def _identifier() -> Any:  # noqa: ANN401 - the library has no types
    """Return the model: it takes a while to load, and is loaded where it is needed."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - see above

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
