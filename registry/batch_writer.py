"""The process that writes long batches into an SQLite file, so that requests need not wait for it.

It refuses to know what the rows mean, and imports next to nothing: it is a process of its own
beside each busy service process. Run as `python -m registry.batch_writer FILE WAIT_SECONDS MANNER`,
it takes one batch after another from its standard input, answers each, and ends with its input.
"""

import os
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # what was acknowledged survives a power cut
    "PRAGMA foreign_keys=ON",
)
"""What every connection to the file begins with."""
LENGTH_BYTES = 8
"""Bytes before each message, which say how long it is; the highest comes first."""
GENTLE, ORDINARY = "gentle", "ordinary"
"""Whether it runs only where nobody else wants to, or takes its turn."""
_SCHEDSTAT = Path("/proc/self/schedstat")
_unpack = msgspec.msgpack.Decoder(tuple[Any, ...]).decode
_OWN_PRAGMAS = (
    "PRAGMA temp_store=MEMORY",  # what undoes a statement else goes to a file: 600 writes a batch
    "PRAGMA wal_autocheckpoint=250",  # pages; a sync of more keeps the core for longer
)
_ROWS_A_TURN = 16
"""Rows of one statement, about 0.1 ms. A kernel without preemption takes the core from a program
that computes only at its next tick, up to 4 ms later, however urgent the others are."""
_POLITE_SECONDS = 0.1
"""Time of a batch in which it gives the core away between statements: it has the lock."""


class Insertion(msgspec.Struct, array_like=True):
    """Rows for one table."""

    head: str
    """The statement up to the values."""
    row: str
    """One row's place holders."""
    tail: str
    """The statement after the values."""
    rows: list[msgspec.Raw]
    """The rows, each an array of values in the order of the place holders."""


class Refusal(msgspec.Struct, array_like=True):
    """Why a batch is not stored; none of it is."""

    kind: str
    """Name of the exception in `sqlite3`."""
    message: str
    """What it says."""


class Answer(msgspec.Struct, array_like=True):
    """What became of a batch."""

    refusal: Refusal | None
    """Why it is not stored; none when it is."""
    waited_seconds: float
    """Time in which it could have been written while others had the cores."""


def frame(message: bytes) -> bytes:
    """Return a message with its length before it."""
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def serve(source: BinaryIO, sink: BinaryIO, file: str, wait_seconds: float) -> None:
    """Write batches until the source ends; each is answered.

    Args:
        source: Where lists of insertions come from, packed and framed.
        sink: Where the answers go.
        file: The database.
        wait_seconds: Longest time to wait for another writer.
    """
    decode = msgspec.msgpack.Decoder(list[Insertion]).decode
    encode = msgspec.msgpack.Encoder().encode
    connection = sqlite3.connect(file, timeout=wait_seconds, isolation_level=None)
    with closing(connection):
        for pragma in (*PRAGMAS, *_OWN_PRAGMAS):
            connection.execute(pragma)
        for message in _messages(source):
            before = waited_seconds()
            refusal = write(connection, decode(message))
            sink.write(frame(encode(Answer(refusal, waited_seconds() - before))))
            sink.flush()


def write(connection: sqlite3.Connection, batch: Sequence[Insertion]) -> Refusal | None:
    """Write a batch in one transaction; return why not, if it could not be."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        polite_until = time.monotonic() + _POLITE_SECONDS
        for insertion in batch:
            _insert(connection, insertion, polite_until)
        connection.execute("COMMIT")
    except (sqlite3.Error, sqlite3.Warning, OverflowError) as exc:
        with suppress(sqlite3.Error):
            connection.rollback()
        kind = type(exc).__name__ if isinstance(exc, sqlite3.Error) else "DataError"
        return Refusal(kind, str(exc))
    return None


def _insert(connection: sqlite3.Connection, insertion: Insertion, polite_until: float) -> None:
    rows = insertion.rows
    for start in range(0, len(rows), _ROWS_A_TURN):
        some = rows[start : start + _ROWS_A_TURN]
        values = tuple(chain.from_iterable(map(_unpack, some)))
        connection.execute(_sql(insertion, len(some)), values)
        if time.monotonic() < polite_until:
            os.sched_yield()  # on the way back the kernel lets the others run, if they want to


def _sql(insertion: Insertion, count: int) -> str:
    return insertion.head + ", ".join([insertion.row] * count) + insertion.tail


def _messages(source: BinaryIO) -> Iterator[bytes]:
    """Yield whole messages; one that breaks off is none."""
    while len(length := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        size = int.from_bytes(length, "big")
        message = source.read(size)
        if len(message) < size:
            return
        yield message


def waited_seconds() -> float:
    """Return for how long this process wanted a core and had none, so far.

    Where the system does not tell, it is the time in which it did not compute, whatever the reason.
    """
    with suppress(OSError):
        _ran, waited, turns = _SCHEDSTAT.read_text().split()
        if turns != "0":  # else it is not counted
            return int(waited) / 1e9
    return time.monotonic() - time.process_time()


def give_way() -> None:
    """Let everybody else run first, at once, where the system lets us."""
    if hasattr(os, "SCHED_IDLE"):
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    # It ends with its input, after the service has handed over what it had.
    for stopping in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stopping, signal.SIG_IGN)
    # Signals to the service's group are not for it; with a session its priority would be its own.
    os.setpgrp()
    if sys.argv[3] == GENTLE:
        give_way()
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[1], float(sys.argv[2]))
    except BrokenPipeError:  # the service was killed: nobody waits for the answer
        os._exit(1)
