"""The pulse of a trainer, by which its child knows that somebody still looks after it.

It refuses to know what the child does. The kernel ends a child whose trainer has died; a trainer
that was frozen, with its machine or by hand, lives on and is replaced by another one, and its child
must not stand in that one's way.
"""

import asyncio
import logging
import os
import select
import threading
from collections.abc import Callable

BEAT_SECONDS = 1.0
"""Time between two beats."""
SILENCE_SECONDS = 20.0
"""Silence after which a child ends; its trainer has lost the job by about then."""
EXIT_UNHEARD = 76
"""Exit status of a child that ended because it heard nothing; only its last steps are lost."""

logger = logging.getLogger(__name__)


class Pulse:
    """Beats into a child's standard input until it is stopped; needs a running event loop."""

    def __init__(self, pipe: asyncio.StreamWriter, *, seconds: float = BEAT_SECONDS) -> None:
        self._pipe = pipe
        self._seconds = seconds
        self._next = asyncio.get_running_loop().call_soon(self._beat)

    def stop(self) -> None:
        """Beat no more."""
        self._next.cancel()
        self._pipe.close()

    def _beat(self) -> None:
        if self._pipe.is_closing():  # the child has ended
            return
        # A child that is frozen reads nothing: what it has not read yet is enough.
        if not self._pipe.transport.get_write_buffer_size():
            self._pipe.write(b".")
        self._next = asyncio.get_running_loop().call_later(self._seconds, self._beat)


def end_unheard(
    descriptor: int,
    *,
    seconds: float = SILENCE_SECONDS,
    end: Callable[[int], None] = os._exit,
) -> threading.Thread:
    """Watch for the pulse in a thread, and end this process when there is none.

    Args:
        descriptor: Where it comes; once that is closed, or is nothing, nobody is listened to.
        seconds: The longest silence.
        end: Ends the process with a status.

    Returns:
        The thread, which keeps no process from ending.
    """
    thread = threading.Thread(
        target=_listen, args=(descriptor, seconds, end), name="pulse", daemon=True
    )
    thread.start()
    return thread


def _listen(descriptor: int, seconds: float, end: Callable[[int], None]) -> None:
    while select.select([descriptor], [], [], seconds)[0]:
        if not os.read(descriptor, 4096):
            return
    logger.error("the trainer is silent for %g s; this process ends", seconds)
    end(EXIT_UNHEARD)
