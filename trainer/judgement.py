"""How a run fares, judged by its losses: the best epoch, when to stop, and when to warn.

It refuses to know models and steps. It reads the run's log and nothing else, so that a run that was
resumed is judged alike.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from registry.records import Record

RISING_EPOCHS = 2
"""Epochs in a row in which the validation loss must rise, and the training loss fall, to warn."""
WILD_STEPS = 10
"""Logged losses in a row that must be wild for a run to have diverged."""
FIRST_STEPS = 5
"""Logged losses at the beginning that the later ones are compared with."""


class Epoch(Record, frozen=True, kw_only=True):
    """What was measured at the end of an epoch."""

    step: int
    """Optimiser steps done."""
    valid_loss: float
    """Loss on held-out rows, in nats a token."""
    train_loss: float | None
    """Mean training loss in the epoch, in nats a token; none when nothing was logged in it."""


def epochs_of(log: Iterable[dict[str, Any]], steps_per_epoch: int) -> list[Epoch]:
    """Return the epochs that ended, oldest first, from the lines the Trainer logged."""
    losses: dict[int, list[float]] = {}
    found: dict[int, float] = {}
    for line in log:
        step = line["step"]
        if "loss" in line:
            losses.setdefault((step - 1) // steps_per_epoch, []).append(line["loss"])
        if "valid_loss" in line and step % steps_per_epoch == 0:
            found[step] = line["valid_loss"]
    return [
        Epoch(step=step, valid_loss=loss, train_loss=_mean(losses.get(step // steps_per_epoch - 1)))
        for step, loss in sorted(found.items())
    ]


def best(epochs: Sequence[Epoch]) -> Epoch | None:
    """Return the epoch with the lowest validation loss, the first of equals."""
    return min(epochs, key=lambda epoch: epoch.valid_loss, default=None)


def is_exhausted(epochs: Sequence[Epoch], patience: int | None) -> bool:
    """Return whether as many epochs as patience allows brought no lower validation loss."""
    lowest = best(epochs)
    if patience is None or lowest is None:
        return False
    return len(epochs) - 1 - epochs.index(lowest) >= patience


def overfits(epochs: Sequence[Epoch]) -> bool:
    """Return whether the last epochs made training rows likelier and held-out rows less likely."""
    recent = epochs[-RISING_EPOCHS - 1 :]
    pairs = list(pairwise(recent))
    return len(pairs) == RISING_EPOCHS and all(
        now.valid_loss > before.valid_loss
        and now.train_loss is not None
        and before.train_loss is not None
        and now.train_loss < before.train_loss
        for before, now in pairs
    )


def begins_to_overfit(epochs: Sequence[Epoch]) -> bool:
    """Return whether the last epoch is the first at whose end the run overfits."""
    earlier = (overfits(epochs[:count]) for count in range(len(epochs)))
    return overfits(epochs) and not any(earlier)


def has_diverged(log: Iterable[dict[str, Any]]) -> bool:
    """Return whether every one of the last losses is far above the first ones, though a number."""
    losses = [line["loss"] for line in log if "loss" in line]
    if len(losses) < FIRST_STEPS + WILD_STEPS:
        return False
    return bool(min(losses[-WILD_STEPS:]) > 2 * fmean(losses[:FIRST_STEPS]) + 1)


def _mean(losses: Sequence[float] | None) -> float | None:
    return fmean(losses) if losses else None
