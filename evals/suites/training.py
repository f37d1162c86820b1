"""The exam on rows that the adapter was trained on: how much better it is there than elsewhere.

It refuses to know the arms, and how answers are scored.
"""

from collections.abc import Iterable, Set

from evals.order import Numbered, first_of_order, numbered
from registry.chatdata import rows_of


def read_training(
    lines: Iterable[bytes], *, heldout_prompts: Set[str], max_rows: int, seed: int
) -> list[Numbered]:
    """Return the first training rows of a seeded order.

    A row whose prompt is held out too is left out: it tells nothing about the gap.

    Raises:
        InvalidData: The file has faulty rows.
    """
    rows = (entry for entry in numbered(rows_of(lines)) if _is_apart(entry, heldout_prompts))
    return first_of_order(rows, max_rows, seed)


def _is_apart(entry: Numbered, heldout_prompts: Set[str]) -> bool:
    return entry.row.prompt_digest not in heldout_prompts
