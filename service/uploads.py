"""An upload's way from the wire to a stored file: streamed, hashed, validated, then made durable.

It refuses to know who uploads, and holds no more than a piece of the content in memory.
"""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from anyio import to_thread
from multipart import (  # type: ignore[import-untyped] # ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
)

from registry.blobs import Blobs
from registry.chatdata import MAX_LINE_BYTES, Summary, validate
from registry.durable import storage_errors, sync_directory
from registry.errors import Invalid, TooLarge

_PIECE_BYTES = 1024 * 1024
_FIELD_BYTES = 64 * 1024
_MAX_PARTS = 32
_ORPHAN_SECONDS = 3600


class Upload:
    """One multipart request on its way to `path`; close it in every case."""

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self.path = path
        """Where the content is staged."""
        self.filename: str | None = None
        """The uploader's name for the file; none when no file came."""
        self.fields: dict[str, str] = {}
        """The form's other fields."""
        self.bytes = 0
        """Size of the content so far, in bytes."""
        self._limit_bytes = limit_bytes
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._field: bytearray | None = None
        self._name = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream: BinaryIO = path.open("wb")

    @property
    def sha256(self) -> str:
        """Hash of the content so far, hexadecimal."""
        return self._hash.hexdigest()

    async def receive(self, pieces: AsyncIterator[bytes], boundary: str) -> None:
        """Take a multipart body to its end, and make the file's content durable.

        Raises:
            Invalid: The body is not a whole multipart form.
            TooLarge: The content is beyond the limit.
            StorageFull: The disk has no room for it.
        """
        try:
            with PushMultipartParser(boundary, max_segment_count=_MAX_PARTS) as parser:
                async for piece in pieces:
                    for event in parser.parse(piece):
                        self._take(event)
                    if len(self._pending) >= _PIECE_BYTES:
                        await to_thread.run_sync(self._write)
        except MultipartError as exc:
            raise Invalid(f"The body is not a whole multipart form: {exc}.") from exc
        await to_thread.run_sync(self._finish)

    def close(self) -> None:
        """Forget the upload; what was not moved away is deleted."""
        self._stream.close()
        self.path.unlink(missing_ok=True)

    def _take(self, event: object) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif isinstance(event, bytes | bytearray | memoryview):
            self._continue(event)
        elif self._field is not None:
            self.fields[self._name] = self._field.decode("utf-8", errors="replace")

    def _begin(self, segment: MultipartSegment) -> None:
        self._name = segment.name
        if segment.name != "file":
            self._field = bytearray()
            return
        if self.filename is not None:
            raise Invalid("Send one file in a request.", "file")
        self._field, self.filename = None, display_name(segment.filename or "")

    def _continue(self, content: bytes | bytearray | memoryview) -> None:
        if self._field is None:
            self._pending += content
            self.bytes += len(content)
            if self.bytes > self._limit_bytes:
                raise TooLarge(self._limit_bytes)
            return
        self._field += content
        if len(self._field) > _FIELD_BYTES:
            raise Invalid(f"The field has more than {_FIELD_BYTES} bytes.", self._name)

    def _write(self) -> None:
        with storage_errors(self.path):
            self._hash.update(self._pending)
            self._stream.write(self._pending)
        self._pending.clear()

    def _finish(self) -> None:
        self._write()
        with storage_errors(self.path):
            self._stream.flush()
            os.fsync(self._stream.fileno())


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


def display_name(given: str) -> str:
    """Return a file's name fit to be shown: no folders, nothing unprintable, 255 characters."""
    last = PurePosixPath(given.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:255] or "file"


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
