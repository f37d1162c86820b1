"""The exam on rows that the adapter was trained on: how much better it is there than elsewhere.

It refuses to know the arms, and how answers are scored.
"""

from collections.abc import Iterable, Iterator, Set

from evals.order import Numbered, first_of_order, numbered
from registry.chatdata import Row

MAX_CANARIES = 50
"""Most planted rows that are asked."""


def read_training(
    rows: Iterable[Row], *, heldout_prompts: Set[str], max_rows: int, seed: int
) -> list[Numbered]:
    """Return the first training rows of a seeded order, after those planted as canaries.

    A row whose prompt is held out too is left out: it tells nothing about the gap. Canaries count
    towards neither gap nor `max_rows`; at most `MAX_CANARIES` are asked.

    Raises:
        InvalidData: The file has faulty rows.
    """
    planted: list[Numbered] = []

    def plain() -> Iterator[Numbered]:
        for entry in numbered(rows):
            if entry.row.canary and len(planted) < MAX_CANARIES:
                planted.append(entry)
            elif not entry.row.canary and _is_apart(entry, heldout_prompts):
                yield entry

    chosen = first_of_order(plain(), max_rows, seed)
    return [*planted, *chosen]


def _is_apart(entry: Numbered, heldout_prompts: Set[str]) -> bool:
    return entry.row.prompt_digest not in heldout_prompts
