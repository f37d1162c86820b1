"""The training rows on which the number of examples is chosen, and the choice.

It refuses to know held-out rows: a number chosen on them would flatter the prompt.
"""

from collections.abc import Iterable, Mapping, Sequence

from evals.order import Numbered, first_of_order, numbered
from registry.chatdata import Row

COUNTS = (0, 1, 2, 4, 8)
"""Numbers of examples that are tried."""
ROWS = 24
"""Training rows on which they are tried; none of them is an example meanwhile or later."""
_APART = 7_919  # another order than that of the examples and of the training suite


def choice_rows(training: Iterable[Row], *, seed: int) -> list[Numbered]:
    """Return the slice of the training rows: prompts that differ, in a seeded order of its own.

    Raises:
        InvalidData: The training file has faulty rows.
    """
    found = first_of_order(numbered(training), 2 * ROWS, seed + _APART)
    return list({entry.row.prompt_digest: entry for entry in found}.values())[:ROWS]


def best_count(
    scores: Mapping[int, Sequence[float]],
    losses: Mapping[int, Sequence[float]],
    *,
    higher_is_better: bool,
) -> int | None:
    """Return the number of examples with the best mean score; of equals, the lowest mean loss.

    Args:
        scores: The primary metric's scores by number of examples.
        losses: The losses likewise; a missing one counts as worst.
        higher_is_better: Whether a high score is good.

    Returns:
        The number, or none when nothing was scored; of equals in both the smaller one.
    """
    sign = 1 if higher_is_better else -1

    def standing(count: int) -> tuple[float, float, int]:
        loss = _mean(losses.get(count, ()))
        return (
            -sign * round(_mean(scores[count]) or 0.0, 9),
            float("inf") if loss is None else round(loss, 9),
            count,
        )

    return min((count for count in scores if scores[count]), key=standing, default=None)


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
