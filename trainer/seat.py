"""The name of a trainer: the same when it starts again, and never that of one that still runs.

It refuses to know what is done under the name.
"""

import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from registry.durable import write_file

SEATS = 64
"""Most trainers of one host on one data directory."""


class NoSeat(Exception):
    """As many trainers run here as may."""


@contextmanager
def seat(folder: Path, *, host: str | None = None) -> Iterator[str]:
    """Yield a name that is this process's alone while the block lasts.

    The first seat that is free is taken, and the kernel frees it when the process ends, so that a
    trainer that starts again goes on under its old name. The name has a random part, because two
    hosts may call themselves alike.

    Raises:
        NoSeat: There is none.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    place = re.sub(r"[^A-Za-z0-9.-]", "-", host or socket.gethostname())[:32]
    for number in range(SEATS):
        lock = FileLock(folder / f"{place}-{number}.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            yield f"{place}-{number}-{_mark(folder / f'{place}-{number}.mark')}"
        finally:
            lock.release()
        return
    raise NoSeat(f"{SEATS} trainers of this host run in {folder.parent} already.")


def _mark(path: Path) -> str:
    """Return the random part of a seat's name, made when the seat is taken for the first time."""
    if not path.exists():
        write_file(path, secrets.token_hex(6).encode())
    return path.read_text()
