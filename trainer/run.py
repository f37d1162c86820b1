"""One run of training: what it learns from, and its steps.

It refuses to know models; every figure is the same in a run that was resumed.
"""

import math

from registry.records import Record
from trainer.batches import Example, micro_batch_size
from trainer.plan import Hyperparameters
from trainer.protocol import Notice

MIN_VALIDATIONS = 4
"""Measurements of held-out rows in a run, when it has so many steps."""
MAX_LOG_ROWS = 1_000
"""Most lines of the loss history; a longer run has means over several steps."""


class Material(Record, frozen=True, kw_only=True):
    """What a run learns from and is measured on."""

    training: list[Example]
    """Rows to train on."""
    heldout: list[Example]
    """Rows held out."""
    padding: int
    """The token that fills short rows."""
    notices: list[Notice]
    """Rows that were cut or dropped."""


class Schedule(Record, frozen=True, kw_only=True):
    """The run in optimiser steps."""

    micro_batch_size: int
    """Rows that go through the model at once."""
    steps_per_epoch: int
    """Optimiser steps in one pass."""
    total_steps: int
    """Optimiser steps in all."""
    validation_steps: int
    """Steps between two measurements of held-out rows, besides those at each epoch's end."""
    logging_steps: int
    """Steps that one line of the history stands for."""


def schedule(chosen: Hyperparameters, material: Material) -> Schedule:
    """Return the steps of a run."""
    steps_per_epoch = math.ceil(len(material.training) / chosen.batch_size)
    total_steps = steps_per_epoch * chosen.n_epochs
    longest = max(example.length for example in material.training)
    return Schedule(
        micro_batch_size=micro_batch_size(chosen.batch_size, longest),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps,
        validation_steps=max(1, min(steps_per_epoch, total_steps // MIN_VALIDATIONS)),
        logging_steps=math.ceil(total_steps / MAX_LOG_ROWS),
    )
