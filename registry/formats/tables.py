"""Tables with named columns: CSV, line by line.

It refuses to know what the columns mean, beyond which of them are used.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO

import msgspec

from registry.chatdata import MAX_LINE_BYTES, Entry, Row, fault_of, row_from
from registry.formats.containers import numbered_lines
from registry.formats.shapes import KNOWN_FIELDS, START, Fields, Shape, shape_of
from registry.records import Record

DELIMITERS = (",", ";", "\t", "|")
"""What may stand between two cells."""
_JSON_COLUMNS = frozenset({"messages", "conversations", "tools"})


class Header(Record, frozen=True, kw_only=True):
    """The first row of a table."""

    names: list[str]
    """Columns in order, trimmed and in lower case."""
    delimiter: str
    """What stands between two cells."""

    @property
    def shape(self) -> Shape | None:
        """How its rows are written; none when the columns are not known."""
        return shape_of(self.names, START)


def read_header(line: bytes) -> Header | None:
    """Return the header on a file's first line, if its columns are known."""
    try:
        text = line.decode("utf-8").strip("\r\n")
    except UnicodeDecodeError:
        return None
    for delimiter in DELIMITERS:
        found = Header(names=_names(text, delimiter), delimiter=delimiter)
        if found.shape is not None:
            return found
    return None


def table_of(header: Header | None, columns: Sequence[str]) -> Shape:
    """Return the shape of a table's rows.

    Raises:
        InvalidData: Its columns are not known, or one has a name twice.
    """
    remedy = f"Name the columns in the first row: {KNOWN_FIELDS}."
    shape = None if header is None else header.shape
    if shape is None:
        shown = ", ".join(name[:40] for name in columns[:8]) or "no names"
        raise fault_of(1, f"The table's columns are {shown}.", remedy)
    twice = {name for name in columns if columns.count(name) > 1}
    if twice & set(shape.names):
        raise fault_of(1, f"The column '{min(twice)}' stands twice.", "Name each column once.")
    return shape


def records_of(stream: BinaryIO, delimiter: str) -> Iterator[Entry[list[str]]]:
    """Yield a CSV file's records after its header, each with the line it begins on.

    Raises:
        InvalidData: A record cannot be read: quotes, bytes or its length are at fault.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(_texts(stream), delimiter=delimiter, strict=True)
    is_header = True
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as exc:
            message = f"The record cannot be read ({exc})."
            remedy = 'Put cells with quotes or line breaks in "…", and write a quote as "".'
            raise fault_of(start, message, remedy) from exc
        if cells is None:
            return
        if any(cells) and not is_header:
            yield Entry(start, cells)
        is_header = is_header and not any(cells)


def row_parser(header: Header, shape: Shape) -> Callable[[int, list[str]], Row]:
    """Return what makes a row of a record's cells."""

    def parse(number: int, cells: list[str]) -> Row:
        if len(cells) != len(header.names):
            message = f"The record has {len(cells)} cells, and the header {len(header.names)}."
            remedy = f"Put a cell that contains '{header.delimiter}' or a line break in quotes."
            raise fault_of(number, message, remedy)
        fields = dict(zip(header.names, cells, strict=True))
        return row_of_fields(number, fields, shape)

    return parse


def row_of_fields(number: int, fields: Fields, shape: Shape) -> Row:
    """Return the row of a record; columns that are not used are left out.

    Raises:
        InvalidData: With what is wrong.
    """
    used = {
        name: _decoded(number, name, fields[name])
        for name in shape.names
        if fields.get(name) is not None and (fields[name] != "" or name in shape.required)
    }
    for name in shape.required:
        if name not in used:
            raise fault_of(number, f"'{name}' is empty.", "Write it, or drop the row.")
    return row_from(number, shape.convert(number, used))


def _decoded(number: int, name: str, value: Any) -> Any:  # noqa: ANN401 - a cell may hold any JSON
    if name not in _JSON_COLUMNS or not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as exc:
        message = f"The column '{name}' is not JSON ({exc})."
        raise fault_of(number, message, "Write the list as JSON in the cell.") from exc


def _names(text: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip().lower() for cell in cells]


def _texts(stream: BinaryIO) -> Iterator[str]:
    for number, line in numbered_lines(stream):
        if len(line) > MAX_LINE_BYTES:
            raise fault_of(number, f"The line has over {MAX_LINE_BYTES} bytes.", "Shorten it.")
        if b"\0" in line:
            raise fault_of(number, "The line holds a NUL.", "Save the file as plain UTF-8 text.")
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as exc:
            message = f"The byte at position {exc.start} is not UTF-8."
            raise fault_of(number, message, "Save the file as UTF-8.") from exc
