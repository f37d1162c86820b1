"""A data file's way from where it was staged to its place: validated, then moved, durably.

It refuses to know who uploads, and holds no more than a piece of the content in memory.
"""

import time
from contextlib import suppress
from pathlib import Path

from registry.blobs import Blobs
from registry.durable import sync_directory
from registry.formats.reading import Checked, check_file

_ORPHAN_SECONDS = 3600


def staging_path(blobs: Blobs, file_id: str) -> Path:
    """Return where an upload is staged: on the file system of its final place."""
    return blobs.directory / f".{file_id}.part"


def check(path: Path, filename: str) -> Checked:
    """Recognise a staged file and validate it row by row; slow for large ones.

    Raises:
        InvalidData: With every fault, up to a limit.
    """
    return check_file(path, filename)


def keep(staged: Path, blobs: Blobs, file_id: str) -> None:
    """Move a staged file to its final place, durably."""
    staged.rename(blobs.path(file_id))
    sync_directory(blobs.directory)


def notice(checked: Checked) -> str | None:
    """Return what the uploader should know about a file without faults."""
    parts = []
    if checked.recognised.is_converted:
        parts.append(f"The file is read as {checked.recognised}; it is stored as it came.")
    lines = checked.summary.duplicate_lines
    if lines:
        named = ", ".join(str(line) for line in lines[:20]) + (", …" if len(lines) > 20 else "")
        parts.append(
            f"Rows that repeat an earlier row: {len(lines)} (line {named}). They are kept."
        )
    return " ".join(parts) or None


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
