"""A data file as bytes: unpacked in bounded memory, and told apart by its first bytes.

It refuses to know rows.
"""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from registry.chatdata import MAX_LINE_BYTES, Entry, fault_of

MAX_UNPACKED_RATIO = 200
"""Times its own size that a packed file may unpack to; ordinary text reaches 20."""
FREE_UNPACKED_BYTES = 64 * 1024 * 1024
"""Bytes that every packed file may unpack to, whatever its size."""
GZIP = b"\x1f\x8b"
"""How gzip begins."""
PARQUET = b"PAR1"
"""How Parquet begins and ends."""
BOM = b"\xef\xbb\xbf"
"""UTF-8's byte-order mark."""
_HEAD_BYTES = 4096
_TAR_AT = 257
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "Unpack it, or save it as CSV."),
    (b"PK\x05\x06", "an empty ZIP archive", "Upload the rows themselves."),
    (b"%PDF", "a PDF document", "Upload rows of text."),
    (b"\x89PNG", "a PNG image", "Upload rows of text."),
    (b"\xff\xd8\xff", "a JPEG image", "Upload rows of text."),
    (b"GIF8", "a GIF image", "Upload rows of text."),
    (b"BZh", "packed with bzip2", "Unpack it, or pack it with gzip."),
    (b"\xfd7zXZ", "packed with xz", "Unpack it, or pack it with gzip."),
    (b"\x28\xb5\x2f\xfd", "packed with zstd", "Unpack it, or pack it with gzip."),
    (b"7z\xbc\xaf", "a 7z archive", "Unpack it."),
    (b"SQLite format 3", "an SQLite database", "Export its table as CSV."),
    (b"ARROW1", "an Arrow file", "Save it as Parquet."),
    (b"\x80\x04", "a pickle", "Save it as JSONL; pickles are never opened."),
    (b"\x80\x05", "a pickle", "Save it as JSONL; pickles are never opened."),
    (b"\xff\xfe\x00\x00", "in UTF-32", "Save it as UTF-8."),
    (b"\x00\x00\xfe\xff", "in UTF-32", "Save it as UTF-8."),
    (b"\xff\xfe", "in UTF-16", "Save it as UTF-8."),
    (b"\xfe\xff", "in UTF-16", "Save it as UTF-8."),
)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, unpacked if it is gzip.

    Raises:
        InvalidData: While it is read: it is no format of ours, or cannot be unpacked.
    """
    with path.open("rb") as raw:
        if not is_packed(path):
            yield raw
            return
        with io.BufferedReader(_Unpacked(raw), buffer_size=1 << 16) as unpacked:
            yield unpacked


def is_packed(path: Path) -> bool:
    """Return whether a file is gzip."""
    with path.open("rb") as raw:
        return raw.read(len(GZIP)) == GZIP


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file's content, which may be text or Parquet.

    Raises:
        InvalidData: It is something else, which is named.
    """
    with opened(path) as stream:
        head = stream.read(_HEAD_BYTES)
    for beginning, what, remedy in _FOREIGN:
        if head.startswith(beginning):
            raise fault_of(0, f"The file is {what}.", remedy)
    if head.startswith(GZIP):
        raise fault_of(0, "The file is packed with gzip twice.", "Pack it once.")
    if head[_TAR_AT : _TAR_AT + 5] == b"ustar":
        raise fault_of(0, "The file is a tar archive.", "Upload the file in it by itself.")
    if not head.startswith(PARQUET):
        _check_text(head)
    return head


def numbered_lines(stream: BinaryIO) -> Iterator[Entry[bytes]]:
    """Yield a text file's lines; of one that is too long, only the limit and one byte more."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        yield Entry(number, line.removeprefix(BOM) if number == 1 else line)
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE_BYTES + 1)


def _check_text(head: bytes) -> None:
    """Refuse text in 16 bits without a mark, and lines that no reader of lines finds."""
    if head.count(0) > len(head) // 4:
        raise fault_of(0, "The file is binary, or text in UTF-16.", "Save it as UTF-8.")
    if b"\r" in head.strip() and b"\n" not in head:
        raise fault_of(0, "Lines end with a carriage return alone.", "Save it with line feeds.")


class _Unpacked(io.RawIOBase):
    """The content of a gzip file, no more of it than a bomb needs to show itself."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._unpacked = gzip.GzipFile(fileobj=raw)
        self._bytes = 0
        self._lines = 0
        self._is_text = True

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # any buffer is one
        """Unpack into a buffer; return how many bytes.

        Raises:
            InvalidData: The content is damaged, cut off, or far larger than the file.
        """
        try:
            piece = self._unpacked.read1(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
            message = f"The gzip content is damaged or cut off near here ({exc})."
            raise fault_of(self._place, message, "Pack and upload the file again.") from exc
        self._bytes += len(piece)
        self._lines += piece.count(b"\n")
        self._is_text = self._is_text and not piece.startswith(PARQUET)
        if self._bytes > max(FREE_UNPACKED_BYTES, MAX_UNPACKED_RATIO * self._raw.tell()):
            message = f"The file unpacks to more than {MAX_UNPACKED_RATIO} times its size."
            raise fault_of(self._place, message, "Upload it unpacked.")
        buffer[: len(piece)] = piece
        return len(piece)

    @property
    def _place(self) -> int:
        """Line that was reached; 0 in a table in columns, which has none."""
        return self._lines + 1 if self._is_text else 0
