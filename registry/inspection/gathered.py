"""Rows gathered by what was seen in them: counted without end, named up to a limit.

It refuses to know what was seen.
"""

from registry.inspection.records import MAX_LINES, Exposed, Lines, Note, Notes, Pair, Pairs


class Gathered:
    """Rows, each with a word or another row beside it."""

    def __init__(self) -> None:
        self._count = 0
        self._notes: list[Note] = []

    def add(self, line: int, what: str = "") -> None:
        """Take a row."""
        self._count += 1
        if len(self._notes) < MAX_LINES:
            self._notes.append(Note(line=line, what=what))

    def __len__(self) -> int:
        return self._count

    def lines(self) -> Lines:
        """Return the rows by their lines."""
        return Lines(count=self._count, lines=[note.line for note in self._notes])

    def notes(self) -> Notes:
        """Return the rows with what was seen."""
        return Notes(count=self._count, rows=self._notes)

    def exposed(self, pattern: str) -> Exposed:
        """Return the rows that hold a pattern."""
        return Exposed(
            pattern=pattern, count=self._count, lines=[note.line for note in self._notes]
        )


def pairs_of(pairs: list[Pair]) -> Pairs:
    """Return pairs in the order of their lines, the first ones of them."""
    ordered = sorted(pairs, key=lambda pair: pair.line)
    return Pairs(count=len(ordered), pairs=ordered[:MAX_LINES])
