"""One run of training: what it learns from, its steps, and what it takes of the machine.

It refuses to know models; every figure is the same in a run that was resumed.
"""

import math
from collections.abc import Sequence

from registry.planning.memory import MICRO_BATCH_TOKENS
from registry.planning.rules import total_steps
from registry.records import Record
from registry.training_options import TrainingOptions
from trainer.batches import BatchOrder, Example
from trainer.packing import PACKABLE, pays
from trainer.plan import Hyperparameters
from trainer.protocol import Notice

MIN_VALIDATIONS = 4
"""Measurements of held-out rows in a run, when it has so many steps."""
MAX_LOG_ROWS = 1_000
"""Most lines of the loss history; a longer run has means over several steps."""
STEPS_TRIED = 64
"""Steps by which it is judged whether packing pays."""


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

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row to train on."""
        return [example.length for example in self.training]


class Schedule(Record, frozen=True, kw_only=True):
    """The run in optimiser steps."""

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
    rows, size = len(material.training), chosen.batch_size
    whole = total_steps(rows=rows, epochs=chosen.n_epochs, batch_size=size)
    steps_per_epoch = total_steps(rows=rows, epochs=1, batch_size=size)
    return Schedule(
        steps_per_epoch=steps_per_epoch,
        total_steps=whole,
        validation_steps=max(1, min(steps_per_epoch, whole // MIN_VALIDATIONS)),
        logging_steps=math.ceil(whole / MAX_LOG_ROWS),
    )


def order_of(chosen: Hyperparameters, lengths: Sequence[int], seed: int) -> BatchOrder:
    """Return the order in which the rows come."""
    return BatchOrder(lengths, batch_size=chosen.batch_size, seed=seed)


def packs(
    options: TrainingOptions, order: BatchOrder, lengths: Sequence[int], model_type: str
) -> bool:
    """Return whether rows share sequences.

    `auto` packs when that saves at least `PACKING_GAIN` of the tokens that go through the model in
    the first steps, which it does where rows of one step differ in length, and when a test shows
    that the model's kind keeps the rows of a sequence apart.

    Raises:
        ValueError: Packing is asked for, and the model's kind is not known to keep rows apart.
    """
    if options.packing is False or model_type not in PACKABLE:
        if options.packing is True:
            raise ValueError(f"models of the type '{model_type}' are not known to keep rows apart")
        return False
    if options.packing is True:
        return True
    steps = [rows for rows, _ in zip(order, range(STEPS_TRIED), strict=False)]
    return pays(steps, lengths, tokens=MICRO_BATCH_TOKENS)
