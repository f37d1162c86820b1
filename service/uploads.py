"""A data file's way from where it was staged to its place: validated, then moved, durably.

It refuses to know who uploads, and holds no more than a piece of the content in memory.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from registry.blobs import Blobs
from registry.chatdata import MAX_LINE_BYTES, Summary, validate
from registry.durable import sync_directory

_ORPHAN_SECONDS = 3600


def staging_path(blobs: Blobs, file_id: str) -> Path:
    """Return where an upload is staged: on the file system of its final place."""
    return blobs.directory / f".{file_id}.part"


def check(path: Path) -> Summary:
    """Validate a staged file row by row; slow for large ones.

    Raises:
        InvalidData: With every fault, up to a limit.
    """
    with path.open("rb") as stream:
        return validate(_bounded_lines(stream))


def keep(staged: Path, blobs: Blobs, file_id: str) -> None:
    """Move a staged file to its final place, durably."""
    staged.rename(blobs.path(file_id))
    sync_directory(blobs.directory)


def notice(summary: Summary) -> str | None:
    """Return what the uploader should know about a file without faults."""
    lines = summary.duplicate_lines
    if not lines:
        return None
    named = ", ".join(str(line) for line in lines[:20]) + (", …" if len(lines) > 20 else "")
    return f"Rows that repeat an earlier row: {len(lines)} (line {named}). They are kept."


def sweep(blobs: Blobs) -> int:
    """Delete what uploads that a crash cut off left behind, an hour ago or earlier.

    Returns:
        How many were deleted. Content that was moved to its final place is never touched.
    """
    oldest, removed = time.time() - _ORPHAN_SECONDS, 0
    for path in blobs.directory.glob(".file-*.part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                removed += 1
    return removed


def _bounded_lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines; of one that is too long only the first bytes, one more than the limit."""
    while line := stream.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)
