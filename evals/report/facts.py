"""What a report is made of.

It refuses to know formats.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from registry.chatdata import Row
from registry.records import (
    AdapterVersion,
    Evaluation,
    EvaluationRow,
    FineTuningJob,
    JobEvent,
    Record,
)

LOSS_KEYS = ("train_loss", "valid_loss", "full_valid_loss")
"""The curves of a job's events."""


class LossPoint(Record, frozen=True, kw_only=True):
    """One point of a job's curves."""

    step: int
    """Optimiser steps done."""
    train_loss: float | None = None
    """On training rows, in nats a token."""
    valid_loss: float | None = None
    """On some held-out rows, in nats a token."""
    full_valid_loss: float | None = None
    """On all held-out rows, in nats a token."""


class Facts(Record, frozen=True, kw_only=True):
    """One evaluation, whole."""

    evaluation: Evaluation
    """The record, with verdict and results."""
    adapter: AdapterVersion
    """The version that was examined."""
    job: FineTuningJob | None
    """The job that made it; none for an import."""
    losses: list[LossPoint]
    """The job's curves, by step."""
    answers: list[EvaluationRow]
    """Every answer of every arm."""
    rows: dict[str, dict[int, Row]] = msgspec.field(default_factory=dict)
    """The rows by suite and number."""
    targets: dict[str, dict[int, str]] = msgspec.field(default_factory=dict)
    """The right answers by suite and number."""

    @property
    def results(self) -> dict[str, Any]:
        """What the evaluation found."""
        return self.evaluation.results or {}


def losses_of(events: Iterable[JobEvent]) -> list[LossPoint]:
    """Return the curves of a job's events; an event without any loss is no point."""
    points: dict[int, LossPoint] = {}
    for event in events:
        found = {key: event.data[key] for key in LOSS_KEYS if _is_number(event.data.get(key))}
        step = event.data.get("step")
        if event.type == "metrics" and isinstance(step, int) and found:
            before = points.get(step, LossPoint(step=step))
            points[step] = msgspec.structs.replace(before, **found)
    return [points[step] for step in sorted(points)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
