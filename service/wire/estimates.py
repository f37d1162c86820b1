"""What a job would take, before anything runs.

It refuses to know how the figures are found.
"""

from typing import Literal

import msgspec


class EstimateObject(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate; each figure's basis is named in `basis`."""

    object: Literal["fine_tuning.estimate"] = "fine_tuning.estimate"
    """Always `fine_tuning.estimate`."""
    model: str
    """Name of the base model."""
    training_rows: int
    """Rows that would be trained on."""
    heldout_rows: int
    """Rows that would be held out."""
    n_epochs: int
    """Passes over the training rows."""
    batch_size: int
    """Rows in one optimiser step."""
    total_steps: int
    """Optimiser steps in all."""
    tokens: int
    """Tokens of all passes over the training rows, as far as rows are not cut."""
    longest_row_tokens: int
    """Tokens of the longest row, cut rows at their limit."""
    cut_rows: int
    """Rows that lose their end, in all of the file."""
    tokens_per_second: float
    """The speed that the time is worked out with."""
    seconds: float
    """Time from the job's creation to its version, waiting for other jobs excluded."""
    memory_bytes: int | None
    """Most memory at a time; null for a base model of an unknown make."""
    cost: float
    """The time at `GRAFTLINE_PRICE_PER_HOUR`."""
    currency: str
    """The currency of the cost."""
    basis: dict[str, str]
    """Where `tokens`, `seconds` and `memory_bytes` come from, a sentence each."""
