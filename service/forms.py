"""A multipart form on its way from the wire to disk: streamed, bounded, hashed.

It refuses to know what the files mean, and holds no more than a piece of each in memory.
"""

import hashlib
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from anyio import to_thread
from multipart import (  # type: ignore[import-untyped] # ships no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from registry.durable import storage_errors
from registry.errors import Invalid, TooLarge

_PIECE_BYTES = 1024 * 1024
_FIELD_BYTES = 64 * 1024
_MAX_PARTS = 32


class FilePart:
    """One file of a form, on its way to `path`."""

    def __init__(self, path: Path, *, limit_bytes: int, setting: str) -> None:
        self.path = path
        """Where the content is staged."""
        self.filename: str | None = None
        """The sender's name for the file; none when no file came."""
        self.bytes = 0
        """Size of the content so far, in bytes."""
        self.setting = setting
        """The setting that limits its size."""
        self.limit_bytes = limit_bytes
        """Largest content, in bytes."""
        self._hash = hashlib.sha256()
        self._pending = bytearray()
        self._stream: BinaryIO | None = None

    @property
    def sha256(self) -> str:
        """Hash of the content so far, hexadecimal."""
        return self._hash.hexdigest()

    @property
    def is_due(self) -> bool:
        """Whether enough content waits to be written."""
        return len(self._pending) >= _PIECE_BYTES

    def take(self, content: bytes | bytearray | memoryview) -> None:
        """Take a piece of content.

        Raises:
            TooLarge: The content is beyond the limit.
        """
        self._pending += content
        self.bytes += len(content)
        if self.bytes > self.limit_bytes:
            raise TooLarge(self.limit_bytes, self.setting)

    def write(self) -> None:
        """Write what waits.

        Raises:
            StorageFull: The disk has no room for it.
        """
        with storage_errors(self.path):
            self._hash.update(self._pending)
            self._opened().write(self._pending)
        self._pending.clear()

    def finish(self) -> None:
        """Write what waits and make all of it durable; a file that was not sent is not made.

        Raises:
            StorageFull: The disk has no room for it.
        """
        if self.filename is None:
            return
        self.write()
        with storage_errors(self.path):
            stream = self._opened()
            stream.flush()
            os.fsync(stream.fileno())

    def close(self) -> None:
        """Forget the file; what was not moved away is deleted."""
        if self._stream is not None:
            with suppress(OSError):  # what a full disk did not take is not wanted any more
                self._stream.close()
        self.path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        if self._stream is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("wb")
        return self._stream


class Form:
    """One multipart request; close it in every case."""

    def __init__(self, files: Mapping[str, FilePart]) -> None:
        self.files = files
        """The files that are taken, by the name of their part."""
        self.fields: dict[str, str] = {}
        """The form's text fields."""
        self.left_behind: list[str] = []
        """Names of the files that were sent and not taken."""
        self._name = ""
        self._file: FilePart | None = None
        self._field: bytearray | None = None
        self._ignored_bytes = 0

    async def receive(self, pieces: AsyncIterator[bytes], boundary: str) -> None:
        """Take a multipart body to its end, and make the files' content durable.

        Raises:
            Invalid: The body is not a whole multipart form.
            TooLarge: A file's content is beyond its limit.
            StorageFull: The disk has no room for it.
        """
        try:
            with PushMultipartParser(boundary, max_segment_count=_MAX_PARTS) as parser:
                async for piece in pieces:
                    for event in parser.parse(piece):
                        self._take(event)
                    for file in self.files.values():
                        if file.is_due:
                            await to_thread.run_sync(file.write)
        except MultipartError as exc:
            raise Invalid(f"The body is not a whole multipart form: {exc}.") from exc
        for file in self.files.values():
            await to_thread.run_sync(file.finish)

    def close(self) -> None:
        """Forget the form; files that were not moved away are deleted."""
        for file in self.files.values():
            file.close()

    def _take(self, event: object) -> None:
        if isinstance(event, MultipartSegment):
            self._begin(event)
        elif isinstance(event, bytes | bytearray | memoryview):
            self._continue(event)
        elif self._field is not None:
            self.fields[self._name] = self._field.decode("utf-8", errors="replace")

    def _begin(self, segment: MultipartSegment) -> None:
        self._name, self._file, self._field = segment.name, self.files.get(segment.name), None
        if self._file is not None:
            if self._file.filename is not None:
                raise Invalid("Send each file once in a request.", segment.name)
            self._file.filename = display_name(segment.filename or "")
        elif segment.filename:
            self.left_behind.append(display_name(segment.filename))
        else:
            self._field = bytearray()

    def _continue(self, content: bytes | bytearray | memoryview) -> None:
        if self._file is not None:
            self._file.take(content)
        elif self._field is None:
            self._ignored_bytes += len(content)
            largest = max(self.files.values(), key=lambda file: file.limit_bytes)
            if self._ignored_bytes > largest.limit_bytes:
                raise TooLarge(largest.limit_bytes, largest.setting)
        else:
            self._field += content
            if len(self._field) > _FIELD_BYTES:
                raise Invalid(f"The field has more than {_FIELD_BYTES} bytes.", self._name)


def boundary_of(content_type: str, fields: str) -> str:
    """Return the boundary of a multipart body.

    Raises:
        Invalid: The body is of another type; the message asks for `fields`.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get("boundary")
    if kind != "multipart/form-data" or not boundary:
        raise Invalid(f"Send the file as multipart/form-data, with the fields {fields}.")
    return str(boundary)


def display_name(given: str) -> str:
    """Return a file's name fit to be shown: no folders, nothing unprintable, 255 characters."""
    last = PurePosixPath(given.replace("\\", "/")).name
    return "".join(letter for letter in last if letter.isprintable())[:255] or "file"
