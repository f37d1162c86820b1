"""Any data file as rows: recognised from its content, read in bounded memory, checked row by row.

It refuses to know what the rows are for, and changes no file.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

from registry.chatdata import (
    Entry,
    Row,
    Summary,
    fault_of,
    gather,
    parse_object,
    row_from,
    summarise,
)
from registry.errors import InvalidData
from registry.formats import containers, tables
from registry.formats.containers import numbered_lines
from registry.formats.shapes import OURS, Format, Shape, shape_of
from registry.records import Record

_LOOKED_AT = 20


class Container(StrEnum):
    """What a file is, whatever its rows say."""

    JSONL = "JSONL"
    """One JSON object on each line."""
    CSV = "CSV"
    """A table as text, with a header."""
    PARQUET = "Parquet"
    """A table in columns."""


class Recognised(Record, frozen=True, kw_only=True):
    """What a file turned out to be."""

    container: Container
    """What the file is."""
    format: Format | None
    """How its rows are written; none when no row could be read."""
    is_packed: bool
    """Whether it is gzip."""

    def __str__(self) -> str:
        rows = f"{self.format} rows" if self.format else "rows"
        return f"{rows} in {self.container}{', packed with gzip' if self.is_packed else ''}"

    @property
    def is_converted(self) -> bool:
        """Whether rows are not used as they are written."""
        is_ours = self.format is None or self.format in OURS
        return self.is_packed or self.container is not Container.JSONL or not is_ours


class Checked(Record, frozen=True, kw_only=True):
    """A file without faults."""

    recognised: Recognised
    """What it is."""
    summary: Summary
    """What is in it."""


def recognise(path: Path, filename: str = "") -> Recognised:
    """Return what a file is.

    Args:
        path: The file.
        filename: The uploader's name for it; it decides only what a fault is called.

    Raises:
        InvalidData: It is nothing that rows are read from.
    """
    head = containers.head_of(path)
    packed = containers.is_packed(path)
    name = filename.lower().removesuffix(".gz")
    if head.startswith(containers.PARQUET):
        return _recognise_table(path, packed=packed)
    if name.endswith(".parquet") and not head.lstrip().startswith(b"{"):
        remedy = "Write and upload it again, or save it as JSONL."
        raise fault_of(0, "The file is named .parquet and is not a Parquet file.", remedy)
    first = _first_line(path)
    header = tables.read_header(first.content)
    if header is not None and not _begins_as_json(first.content):
        return Recognised(container=Container.CSV, format=_format(header.shape), is_packed=packed)
    if name.endswith((".csv", ".tsv")) and not _begins_as_json(first.content) and first.content:
        columns = first.content.decode("utf-8", "replace").strip().split(",")
        tables.table_of(header, columns)
    return Recognised(
        container=Container.JSONL, format=_format(_jsonl_shape(path)), is_packed=packed
    )


def read_rows(path: Path, filename: str = "") -> Iterator[Row]:
    """Yield the rows of a file, whatever its format.

    Raises:
        InvalidData: At the end, if any row was at fault, or where the file cannot be read on.
    """
    found = recognise(path, filename)
    if found.container is Container.PARQUET:
        yield from _parquet_rows(path)
    elif found.container is Container.CSV:
        yield from _csv_rows(path)
    else:
        with containers.opened(path) as stream:
            entries = (line for line in numbered_lines(stream) if line.content.strip())
            yield from gather(entries, _json_parser(_jsonl_shape(path)))


def check_file(path: Path, filename: str = "") -> Checked:
    """Check a whole data file in one pass.

    Raises:
        InvalidData: It is no data file, rows are at fault, or there is none.
    """
    found = recognise(path, filename)
    return Checked(recognised=found, summary=summarise(read_rows(path, filename)))


def _csv_rows(path: Path) -> Iterator[Row]:
    header = tables.read_header(_first_line(path).content)
    shape = tables.table_of(header, header.names if header else [])
    if header is None:  # table_of has said so
        return
    with containers.opened(path) as stream:
        records = tables.records_of(stream, header.delimiter)
        yield from gather(records, tables.row_parser(header, shape))


def _parquet_rows(path: Path) -> Iterator[Row]:
    from registry.formats import parquet  # noqa: PLC0415 - pyarrow is large

    with parquet.opened_table(path) as table:
        shape = _table_shape(table.shape, table.columns)
        yield from gather(table.records(shape), parquet.row_parser(shape))


def _recognise_table(path: Path, *, packed: bool) -> Recognised:
    from registry.formats import parquet  # noqa: PLC0415 - pyarrow is large

    with parquet.opened_table(path) as table:
        shape = _table_shape(table.shape, table.columns)
    return Recognised(container=Container.PARQUET, format=shape.format, is_packed=packed)


def _table_shape(shape: Shape | None, columns: list[str]) -> Shape:
    if shape is not None:
        names = [name.strip().lower() for name in columns]
        return tables.table_of(tables.Header(names=names, delimiter=","), names)
    return tables.table_of(None, columns)


def _json_parser(first: Shape | None) -> Callable[[int, bytes], Row]:
    """Return what makes a row of a line, in the format of the file's first row."""

    def parse(number: int, line: bytes) -> Row:
        value = parse_object(number, line)
        shape = shape_of(value, value.get("text"))
        if shape is None:
            return row_from(number, value)
        formats = {shape.format, (first or shape).format}
        if len(formats) > 1 and not formats <= OURS:
            message = f"The row is {shape.format}, and the file's first row is not."
            raise fault_of(number, message, "Put each format into a file of its own.")
        return row_from(number, shape.convert(number, value))

    return parse


def _jsonl_shape(path: Path) -> Shape | None:
    """Return the shape of the first row that has one."""
    with containers.opened(path) as stream:
        looked = 0
        for number, line in numbered_lines(stream):
            if not line.strip():
                continue
            try:
                value = parse_object(number, line)
            except InvalidData:
                value = {}
            shape = shape_of(value, value.get("text"))
            looked += 1
            if shape is not None or looked == _LOOKED_AT:
                return shape
    return None


def _first_line(path: Path) -> Entry[bytes]:
    with containers.opened(path) as stream:
        for line in numbered_lines(stream):
            if line.content.strip():
                return line
    return Entry(0, b"")


def _begins_as_json(line: bytes) -> bool:
    return line.lstrip().startswith((b"{", b"["))


def _format(shape: Shape | None) -> Format | None:
    return None if shape is None else shape.format
