"""The training rows most similar to a row, as examples for its prompt.

It refuses to know how likeness is measured, and the models.
"""

from collections.abc import Iterable, Set

from evals.arms import usable_rows
from evals.order import Numbered, first_of_order, numbered
from evals.similarity import Index
from registry.chatdata import Row

POOL = 2_000
"""Training rows that are searched: the first ones of the seeded order."""


class Neighbours:
    """Training rows of both kinds, ready to be searched."""

    def __init__(self, rows: Iterable[Numbered]) -> None:
        kept = [entry.row for entry in rows]
        self._rows = {
            is_chat: [row for row in kept if (row.messages is not None) is is_chat]
            for is_chat in (True, False)
        }
        self._indexes = {
            is_chat: Index([asked_text(row) for row in found])
            for is_chat, found in self._rows.items()
        }

    def fitting(self, row: Row, count: int) -> list[Row]:
        """Return rows of the same kind, the most similar first, never one with the same prompt."""
        is_chat = row.messages is not None
        rows, own = self._rows[is_chat], row.prompt_digest
        if not rows or not count:
            return []
        found: list[Row] = []
        for place in self._indexes[is_chat].nearest(asked_text(row)):
            if rows[place].prompt_digest != own:
                found.append(rows[place])
            if len(found) == count:
                break
        return found


def choose_pool(training: Iterable[Row], *, heldout_prompts: Set[str], seed: int) -> list[Numbered]:
    """Return the rows that are searched: none whose prompt is on the exam, none twice.

    Raises:
        InvalidData: The training file has faulty rows.
    """
    pool = first_of_order(numbered(usable_rows(training, heldout_prompts)), POOL, seed)
    return list({entry.row.prompt_digest: entry for entry in pool}.values())


def asked_text(row: Row) -> str:
    """Return the text by which a row is compared: the prompt, or the turns but instructions."""
    if row.messages is None:
        return row.prompt or ""
    return "\n".join(
        str(message.get("content") or "")
        for message in row.messages[:-1]
        if message["role"] not in {"system", "developer"}
    )
