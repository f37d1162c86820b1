"""Suites of the user's own: uploaded files, and every JSONL file of a folder.

It refuses to know the arms. Each row may name its metric, its cluster and its segment.
"""

from collections.abc import Iterable
from pathlib import Path

from evals.markings import MarkingError, marking_of
from evals.order import Numbered, first_of_order, numbered
from registry.chatdata import MAX_FAULTS, Row
from registry.errors import DataFault, InvalidData

PREFIX = "own:"
"""Begins the name of every suite of the user's own."""
MAX_FILES = 32
"""Most files of a folder that are suites; the first ones by name."""


def read_own(found: Iterable[Row], *, max_rows: int, seed: int) -> list[Numbered]:
    """Return the rows of a suite, the first ones of a seeded order.

    Raises:
        InvalidData: The file has faulty rows, or a row names a metric that does not exist.
    """
    rows = list(numbered(found))
    faults: list[DataFault] = []
    for entry in rows:
        try:
            marking_of(entry.row)
        except MarkingError as exc:
            faults.append(DataFault(entry.row.line, str(exc), exc.remedy))
    if faults:
        raise InvalidData(tuple(faults[:MAX_FAULTS]), more=len(faults) > MAX_FAULTS)
    return first_of_order(rows, max_rows, seed)


def suite_files(folder: Path) -> list[Path]:
    """Return the JSONL files of a folder, by name; none when there is no such folder."""
    return sorted(folder.glob("*.jsonl"))[:MAX_FILES]
