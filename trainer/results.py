"""The result file: losses by step, as CSV.

It refuses to know where it is stored.
"""

import csv
import io
from collections.abc import Iterable

from trainer.protocol import HistoryRow

HEADER = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
"""OpenAI's columns."""


def as_csv(history: Iterable[HistoryRow]) -> bytes:
    """Return the history as CSV; a figure that was not measured is an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    for row in history:
        values = (getattr(row, name) for name in HEADER)
        writer.writerow(["" if value is None else _plain(value) for value in values])
    return stream.getvalue().encode()


def _plain(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.5f}"
