"""What `auto` means for the size of a run.

It refuses to know learning rates, which depend on the method.
"""

import math
from typing import Final

# Measured on small sets of short rows; see docs/lab-log.md.
EXAMPLES_SEEN: Final = 4_500
"""Rows times epochs that `auto` aims at."""
AUTO_EPOCHS: Final = (3, 10)
"""Fewest and most epochs that `auto` chooses."""
DPO_AUTO_EPOCHS: Final = 3
"""Most epochs that `auto` chooses for DPO: more of them overfit the pairs."""
ROWS_PER_BATCH_ROW: Final = 128
"""Training rows for each row of a batch."""
AUTO_BATCH: Final = (4, 16)
"""Smallest and largest batch that `auto` chooses; always a power of two."""
HELDOUT_SHARE: Final = 0.1
"""Share of the training rows held out when no validation file is given."""
MIN_HELDOUT: Final = 5
"""Fewest rows held out so."""
MAX_HELDOUT: Final = 500
"""Most rows held out so."""
AUTO_LORA_RANK: Final = 16
"""LoRA rank, unless the engine's limit is lower."""


def auto_epochs(rows: int, method: str = "supervised") -> int:
    """Return how often to pass over `rows` rows: small sets more often, pairs at most thrice."""
    fewest, most = AUTO_EPOCHS
    if method == "dpo":
        most = DPO_AUTO_EPOCHS
    return max(fewest, min(most, math.ceil(EXAMPLES_SEEN / rows)))


def auto_batch_size(rows: int) -> int:
    """Return the batch for `rows` rows: a power of two that grows with the set."""
    smallest, largest = AUTO_BATCH
    wanted = max(1.0, rows / ROWS_PER_BATCH_ROW)
    return max(smallest, min(largest, 1 << round(math.log2(wanted))))


def total_steps(*, rows: int, epochs: int, batch_size: int) -> int:
    """Return the optimiser steps of a run; the last step of an epoch may have fewer rows."""
    return math.ceil(rows / batch_size) * epochs


def heldout_rows(rows: int) -> int:
    """Return how many rows of a file to hold out when no validation file is given."""
    return max(MIN_HELDOUT, min(MAX_HELDOUT, round(rows * HELDOUT_SHARE)))
