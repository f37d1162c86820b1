"""The exam on the rows that the adapter never saw in training.

It refuses to know the arms, and how answers are scored.
"""

from collections.abc import Iterable

from evals.order import Numbered, first_of_order, numbered
from registry.chatdata import Row
from registry.errors import Invalid
from registry.records import Record


class Exam(Record, frozen=True, kw_only=True):
    """What is asked."""

    rows: list[Numbered]
    """The rows asked, in the order of asking."""
    prompt_digests: frozenset[str]
    """Digests of every prompt in the file, asked or not: none may stand in a few-shot prompt."""


def read_exam(rows: Iterable[Row], *, max_rows: int, seed: int) -> Exam:
    """Set the exam on held-out rows, read in one pass.

    Args:
        rows: The held-out rows.
        max_rows: Most rows that are asked: the first ones of the seeded order.
        seed: Seed of the order.

    Raises:
        InvalidData: The file has faulty rows.
        Invalid: The file has no row.
    """
    digests: set[str] = set()

    def noted(row: Row) -> Row:
        digests.add(row.prompt_digest)
        return row

    asked = first_of_order(numbered(noted(row) for row in rows), max_rows, seed)
    if not asked:
        raise Invalid("The held-out file has no rows.", "heldout_file")
    return Exam(rows=asked, prompt_digests=frozenset(digests))
