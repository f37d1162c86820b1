"""The training child: `python -m trainer.child <job folder> <parent's process id>`.

It refuses to know the store and every secret; it reads its plan, trains, says how it ended, and
dies with its parent.
"""

import ctypes
import errno
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from registry.durable import write_file
from registry.errors import StorageFull, TrainingFailed
from registry.settings import process_number
from trainer.protocol import Failure, Message, Notice, Outcome, decode_plan
from trainer.pulse import end_unheard
from trainer.stopping import EXIT_STOPPED, Stopped, Stopping
from trainer.unneeded import hide_unneeded
from trainer.workplace import Workplace

EXIT_OUT_OF_MEMORY = 71
"""Exit status when memory ran out, and the run may be tried again with less at a time."""
EXIT_STORAGE_FULL = 28
"""Exit status when the disk is full, and there may be no room to say so."""
PREDECESSOR_SECONDS = 30.0
"""Time after which it is told that a child of another trainer is still there."""
PEER_SECONDS = 10.0
"""Time in which torchrun ends a process whose peer has died."""
_PR_SET_PDEATHSIG = 1
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_WORDS = re.compile(r"os error (28|122|27)\b|PytorchStreamWriter failed|No space left")
_MEMORY_WORDS = re.compile(
    r"out of memory|allocate memory|not enough memory|bad_alloc", re.IGNORECASE
)

logger = logging.getLogger(__name__)


def main() -> None:
    """Train the job in the folder that is named on the command line."""
    place, parent = Workplace(Path(sys.argv[1])), int(sys.argv[2])
    die_with(parent or os.getppid())
    stopping = Stopping(may_defer=parent != 0)
    stopping.listen()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    channel = _Channel()
    is_first = process_number() == 0
    if is_first:
        end_unheard(sys.stdin.fileno())
    with _alone(place, channel) if is_first else nullcontext():
        if place.outcome.exists():
            return  # it was written just before a trainer died
        try:
            outcome = _train(place, channel, stopping)
            if outcome is not None:
                write_file(place.outcome, msgspec.json.encode(outcome))
        except Stopped:
            sys.exit(EXIT_STOPPED)
        except Exception as exc:
            if is_storage_full(exc):
                logger.exception("the disk is full")
                sys.exit(EXIT_STORAGE_FULL)
            if is_out_of_memory(exc):
                logger.exception("memory ran out")
                sys.exit(EXIT_OUT_OF_MEMORY)
            raise


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent dies, and end now if it is dead already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the trainer that started this process is gone")


def is_storage_full(exc: BaseException) -> bool:
    """Return whether an error, or one it came from, means a full disk or quota.

    The Rust and C++ writers of tensors give no error number, only words.
    """
    return any(
        isinstance(cause, StorageFull)
        or (isinstance(cause, OSError) and cause.errno in _FULL)
        or _FULL_WORDS.search(str(cause)) is not None
        for cause in _causes(exc)
    )


def is_out_of_memory(exc: BaseException) -> bool:
    """Return whether an error, or one it came from, means that memory ran out, anybody's."""
    return any(
        isinstance(cause, MemoryError) or _MEMORY_WORDS.search(str(cause)) is not None
        for cause in _causes(exc)
    )


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


class _Channel:
    """The pipe to the trainer; whatever a library prints goes to the log instead."""

    def __init__(self) -> None:
        self._descriptor = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def report(self, message: Message) -> None:
        """Tell the trainer; of several processes one does."""
        if process_number() == 0:
            os.write(self._descriptor, msgspec.json.encode(message) + b"\n")


@contextmanager
def _alone(place: Workplace, channel: _Channel) -> Iterator[None]:
    """Be the only child of a job while the block lasts.

    A child of a trainer that was taken for dead ends soon; one whose trainer lives and cannot
    reach the database trains on, and what it makes is this job's too.
    """
    lock = FileLock(place.child_lock)
    try:
        lock.acquire(timeout=PREDECESSOR_SECONDS)
    except Timeout:
        text = "Another process still trains this job; the training goes on once it has ended."
        channel.report(Notice(level="warn", message=text))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _train(place: Workplace, channel: _Channel, stopping: Stopping) -> Outcome | None:
    try:
        plan = decode_plan(place.plan.read_bytes())
        hide_unneeded(plan.options.technique)
        # Imported here: it takes seconds, and the death of the parent must be looked after before.
        from trainer.finetune import train  # noqa: PLC0415 - see above

        return train(plan, place, channel.report, stopping)
    except TrainingFailed as exc:
        return Failure(code=exc.code, message=exc.message)
    except Stopped:
        raise
    except Exception as exc:
        if is_storage_full(exc) or is_out_of_memory(exc):
            raise
        logger.exception("training failed")
        if not stopping.may_defer:
            time.sleep(PEER_SECONDS)  # if a peer died, that is the reason, and this process ends
        text = f"Training stopped: {type(exc).__name__}: {exc}"
        return Failure(code="training_failed", message=text)


if __name__ == "__main__":
    main()
