"""Tokens by row, and rows that are too long, with the base model's own tokenizer.

It refuses to know what the rows say. What is cut and what is dropped is what training does.
"""

from array import array
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
from jinja2 import TemplateError

from registry.chatdata import Row
from registry.inspection.gathered import Gathered
from registry.inspection.records import Bin, Tokens
from registry.inspection.view import View
from registry.rendering import BatchTokenizer, lengths, render, template_sha256

PERCENTILES = (0, 10, 25, 50, 75, 90, 95, 99, 100)
"""Percentiles that are told."""
BINS = 24
"""Most bars of the histogram."""
EXACT_ROWS = 2_000
"""Most rows over the length that are rendered to see whether an answer is left; of further ones
only the length is known, and they count as truncated."""
_AT_ONCE = 256
_MOST_SENT = 2
_MAX_REASON = 200


class SizeLook:
    """How long the rows are."""

    def __init__(self, tokenizer: BatchTokenizer, max_length: int) -> None:
        self._tokenizer = tokenizer
        self._max_length = max_length
        self._waiting: list[Row] = []
        self._measured: deque[tuple[list[Row], Future[list[int]]]] = deque()
        # One thread: tokenizers let go of the interpreter, and the other looks go on meanwhile.
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._lengths = array("Q")
        self._truncated = Gathered()
        self._dropped = Gathered()
        self._refused = Gathered()

    def see(self, view: View) -> None:
        """Look at a row."""
        self._waiting.append(view.row)
        if len(self._waiting) >= _AT_ONCE:
            self._send()
            self._take_measured(most_waiting=_MOST_SENT)

    def result(self) -> Tokens:
        """Return the lengths, and the rows that are too long."""
        self._send()
        self._take_measured(most_waiting=0)
        self._thread.shutdown()
        found = np.frombuffer(self._lengths, dtype=np.uint64) if self._lengths else np.zeros(1)
        at = np.percentile(found, PERCENTILES, method="nearest")
        return Tokens(
            total=int(found.sum()),
            mean=round(float(found.mean()), 2),
            percentiles={
                f"p{share}": int(value) for share, value in zip(PERCENTILES, at, strict=True)
            },
            histogram=_histogram(self._lengths),
            max_length=self._max_length,
            truncated=self._truncated.lines(),
            dropped=self._dropped.lines(),
            refused=self._refused.notes(),
            template_sha256=template_sha256(self._tokenizer),
        )

    def _send(self) -> None:
        rows, self._waiting = self._waiting, []
        if rows:
            self._measured.append((rows, self._thread.submit(lengths, self._tokenizer, rows)))

    def _take_measured(self, *, most_waiting: int) -> None:
        while len(self._measured) > most_waiting:
            rows, measured = self._measured.popleft()
            try:
                found = measured.result()
            except (TemplateError, ValueError, TypeError):
                for row in rows:
                    self._measure_alone(row)
                continue
            for row, length in zip(rows, found, strict=True):
                self._take(row, length)

    def _measure_alone(self, row: Row) -> None:
        try:
            self._take(row, lengths(self._tokenizer, [row])[0])
        except (TemplateError, ValueError, TypeError) as exc:
            self._refused.add(row.line, str(exc)[:_MAX_REASON])

    def _take(self, row: Row, length: int) -> None:
        self._lengths.append(length)
        if length <= self._max_length:
            return
        looked_at = len(self._truncated) + len(self._dropped)
        if looked_at < EXACT_ROWS and not self._keeps_an_answer(row):
            self._dropped.add(row.line)
        else:
            self._truncated.add(row.line)

    def _keeps_an_answer(self, row: Row) -> bool:
        return any(render(self._tokenizer, row).loss_mask[1 : self._max_length])


def _histogram(found: "array[int]") -> list[Bin]:
    if not found:
        return []
    longest = max(found)
    width = max(1, -(-(longest + 1) // BINS))
    edges = np.arange(0, longest + width + 1, width)
    counts, _ = np.histogram(np.frombuffer(found, dtype=np.uint64), bins=edges)
    return [
        Bin(start=int(start), end=int(end), rows=int(rows))
        for start, end, rows in zip(edges, edges[1:], counts, strict=False)
    ]
