"""One target behind a thread of its own: figures wait there, never the training.

It refuses to know the target.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainer.reporting.reporter import Reporter, RunCard, RunEnd

MOST_WAITING = 10_000
"""Steps that wait for a slow target; of more, the oldest are not shown there."""
PATIENCE_SECONDS = 60.0
"""Time after which a target that takes nothing is told of."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Step:
    number: int
    figures: Mapping[str, float]


class Outlet:
    """Passes a run's figures to a target.

    Args:
        name: What users are told the target is called.
        reporter: The target.
        warn: Tells the user of the job one sentence; called once at most, from any thread.
        patience_seconds: Time after which a target that takes nothing is told of.
        steady: A clock that only goes forward, in seconds.
    """

    def __init__(
        self,
        name: str,
        reporter: Reporter,
        warn: Callable[[str], None],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._reporter = reporter
        self._tell = warn
        self._patience_seconds = patience_seconds
        self._steady = steady
        # Protects what the training's thread hands over to the target's.
        self._changed = threading.Condition()
        self._waiting: deque[_Step] = deque(maxlen=MOST_WAITING)
        self._end: RunEnd | None = None
        self._is_over = False
        self._has_warned = False
        self._moved_at = steady()
        self._thread: threading.Thread | None = None

    def begin(self, card: RunCard) -> None:
        """Begin; returns at once."""
        # A daemon: a target that hangs does not keep the trainer from stopping.
        self._thread = threading.Thread(
            target=self._run, args=(card,), name=f"{self._name} {card.job_id}", daemon=True
        )
        self._thread.start()

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Hand figures over; returns at once."""
        with self._changed:
            if self._is_over:
                return
            is_stuck = (
                bool(self._waiting) and self._steady() - self._moved_at > self._patience_seconds
            )
            self._waiting.append(_Step(step, figures))
            self._changed.notify()
        if is_stuck:
            self._warn_of_silence()

    def finish(self, end: RunEnd) -> None:
        """Say how the run ended; returns at once, and what waits is still passed on."""
        with self._changed:
            self._end = end
            self._changed.notify()

    def join(self, seconds: float) -> bool:
        """Wait until everything is passed on, for some seconds; return whether it is."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _run(self, card: RunCard) -> None:
        # Libraries try again for many minutes before they say that nobody answers.
        alarm = threading.Timer(self._patience_seconds, self._warn_of_silence)
        alarm.daemon = True
        alarm.start()
        try:
            self._reporter.begin(card)
            alarm.cancel()
            self._pass_on()
        except Exception as exc:  # whatever a foreign library raises
            logger.exception("%s does not show job %s", self._name, card.job_id)
            # Its own words may hold an address with a password; they stay in the log.
            self._warn(f"is unavailable ({type(exc).__name__}; the trainer's log tells more)")
        finally:
            alarm.cancel()
            with self._changed:
                self._is_over = True
                self._waiting.clear()

    def _pass_on(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._end is not None)
                steps, end = list(self._waiting), self._end
                self._waiting.clear()
                self._moved_at = self._steady()
            for step in steps:
                self._reporter.log(step.number, step.figures)
            if end is not None:
                self._reporter.finish(end)
                return

    def _warn_of_silence(self) -> None:
        self._warn(f"has taken nothing for {self._patience_seconds:g} s")

    def _warn(self, what: str) -> None:
        with self._changed:
            was_told, self._has_warned = self._has_warned, True
        if not was_told:
            self._tell(f"{self._name} {what}; the job goes on without it.")
