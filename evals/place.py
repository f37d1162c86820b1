"""One row of a suite before one arm.

It refuses to know questions and answers.
"""

from collections.abc import Mapping, Sequence

from evals.order import Numbered
from evals.panel import Arm
from evals.scoring import Scheme, asks_confidence
from evals.suites.suite import Suite
from registry.records import Record


class Place(Record, frozen=True, kw_only=True):
    """One row of a suite and the arm that is asked it."""

    suite: str
    """The suite's name."""
    arm: Arm
    """Who is asked."""
    entry: Numbered
    """The row."""
    wants_confidence: bool
    """Whether the model is asked how sure it is."""
    wants_loss: bool
    """Whether the model is asked how likely it holds the right answer."""

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells it from every other place."""
        return self.suite, self.arm.name, self.entry.number


def places_of(suites: Sequence[Suite], schemes: Mapping[str, Scheme]) -> list[Place]:
    """Return every place of the suites, in the order of asking: one arm after another.

    So the requests that are in flight together are one model's, with one kind of prompt: the engine
    takes their common prefix from its cache, applies an adapter to a whole step or not at all, and
    has no need to exchange adapters where there are more of them than fit.
    """
    return [
        Place(
            suite=suite.name,
            arm=arm,
            entry=entry,
            wants_confidence=asks_confidence(schemes[suite.name]),
            wants_loss=schemes[suite.name].has_loss,
        )
        for suite in suites
        for arm in suite.arms
        for entry in suite.entries
    ]
