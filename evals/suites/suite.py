"""A suite: rows that are asked together, and what is asked about them.

It refuses to know where rows come from and who sits the exam.
"""

import msgspec

from evals.order import Numbered
from evals.panel import Arm
from registry.records import Record

HELDOUT = "heldout"
"""The suite that decides: rows the adapter never saw."""
TRAINING = "training"
"""Rows the adapter was trained on."""
BEHAVIOUR = "behaviour"
"""Short tasks that come with Graftline."""
CHOICE = "choice"
"""Training rows on which the number of examples is chosen; it has no results of its own."""


class Suite(Record, frozen=True, kw_only=True):
    """Rows and the arms that are asked them."""

    name: str
    """A constant of this module, or the name of a suite of the user's own."""
    title: str
    """What a reader calls it."""
    entries: list[Numbered]
    """The rows asked, in the order of asking."""
    arms: list[Arm]
    """Who is asked."""
    is_marked_by_row: bool = False
    """Whether each row may say how it is scored."""
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Hash of each file that the rows come from."""
