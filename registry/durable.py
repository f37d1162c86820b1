"""Writes that are whole after a power cut, or never happened.

It refuses to know what is written.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from registry.errors import StorageFull


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn "no space left", and "file too large" under a limit, into `StorageFull`.

    Raises:
        StorageFull: The disk or the quota is full.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise StorageFull(path.name) from exc
        raise


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(directory: Path) -> None:
    """Make every file and name below `directory` durable."""
    for path in directory.rglob("*"):
        if path.is_dir():
            sync_directory(path)
        else:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    sync_directory(directory)


def write_file(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write `content` to `path` so that readers see all of it or nothing.

    Raises:
        StorageFull: The disk is full; `path` is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storage_errors(path):
        try:
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            staged.replace(path)
            sync_directory(path.parent)
        finally:
            staged.unlink(missing_ok=True)
