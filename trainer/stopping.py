"""The end of a training child on request: SIGTERM asks, and the next step obeys.

It refuses to know why it is asked, and what a step is.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_STOPPED = 75
"""Exit status of a child that ended because it was asked, with a checkpoint behind it."""


class Stopped(Exception):
    """The training ended because it was asked to; its checkpoint is sealed."""


class Stopping:
    """Whether this process was asked to end.

    While nothing is at stake it ends at once. Inside `deferred` it goes on until whoever is in
    there looks at `is_asked`.

    Args:
        may_defer: Whether it may go on at all. Of several processes that step together none may:
            they would hear of it in different steps, and wait for one another for ever.
    """

    def __init__(self, *, may_defer: bool = True) -> None:
        self.may_defer = may_defer
        """Whether it may go on at all; it may not beside others."""
        self.is_asked = False
        """Whether SIGTERM came while ending was deferred."""
        self._is_deferred = False

    def listen(self) -> None:
        """Take SIGTERM from now on; of the main thread only."""
        signal.signal(signal.SIGTERM, self._take)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Go on when asked to end, while the block lasts."""
        self._is_deferred = self.may_defer
        try:
            yield
        finally:
            self._is_deferred = False

    def _take(self, _number: int, _frame: object) -> None:
        self.is_asked = True
        if not self._is_deferred:
            os._exit(EXIT_STOPPED)  # no library between us and the end may catch it
