"""Parquet, some rows at a time.

It refuses to know what the columns mean. Imported only where a file is Parquet: pyarrow is large.
Rows are numbered from 1, in place of lines.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from registry.chatdata import MAX_LINE_BYTES, Entry, Row, fault_of
from registry.errors import InvalidData
from registry.formats.containers import is_packed, opened
from registry.formats.shapes import START, Fields, Shape, shape_of
from registry.formats.tables import row_of_fields

BATCH_ROWS = 32
"""Most rows in memory at a time."""
BATCH_BYTES = BATCH_ROWS * MAX_LINE_BYTES
"""Most text they may hold, each cell counted: a column of one long text is short on disk."""
MAX_GROUP_BYTES = 1 << 29
"""Largest row group, unpacked: what Parquet's own writers make is far smaller."""


class Table:
    """An open Parquet file."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._file = file
        self.columns: list[str] = [str(name) for name in file.schema_arrow.names]
        """Names of the columns, as they are written."""

    @property
    def shape(self) -> Shape | None:
        """How its rows are written; none when the columns are not known."""
        return shape_of([name.strip().lower() for name in self.columns], START)

    def records(self, shape: Shape) -> Iterator[Entry[Fields]]:
        """Yield the rows, with the columns that are used.

        Raises:
            InvalidData: The content is damaged.
        """
        wanted = [name for name in self.columns if name.strip().lower() in shape.names]
        number = 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                _check_size(number + 1, batch)
                for fields in batch.to_pylist():
                    number += 1
                    yield Entry(number, {name.strip().lower(): fields[name] for name in wanted})
        except (pa.ArrowException, OSError, ValueError) as exc:
            if isinstance(exc, InvalidData):
                raise
            raise _damaged(number + 1, exc) from exc


@contextmanager
def opened_table(path: Path) -> Iterator[Table]:
    """Open a Parquet file, unpacked if it is gzip.

    Raises:
        InvalidData: It is no Parquet file, or its row groups are too large.
    """
    with _seekable(path) as stream:
        try:
            file = _open(stream)
        except (pa.ArrowException, OSError, ValueError) as exc:
            raise _damaged(0, exc) from exc
        groups = range(file.metadata.num_row_groups)
        if any(
            file.metadata.row_group(index).total_byte_size > MAX_GROUP_BYTES for index in groups
        ):
            message = f"A row group is larger than {MAX_GROUP_BYTES} bytes."
            raise fault_of(0, message, "Write the file with smaller row groups.")
        yield Table(file)


def row_parser(shape: Shape) -> Callable[[int, Fields], Row]:
    """Return what makes a row of a record."""

    def parse(number: int, fields: Fields) -> Row:
        clean = {name: _without_nulls(value) for name, value in fields.items()}
        for name, value in clean.items():
            if isinstance(value, str) and len(value) > MAX_LINE_BYTES:
                message = f"'{name}' has {len(value)} characters."
                raise fault_of(number, message, "Shorten or split the row.")
        return row_of_fields(number, clean, shape)

    return parse


@contextmanager
def _seekable(path: Path) -> Iterator[BinaryIO]:
    with opened(path) as stream:
        if not is_packed(path):
            yield stream
            return
        with tempfile.TemporaryFile() as unpacked:
            shutil.copyfileobj(stream, unpacked)
            unpacked.seek(0)
            yield unpacked


def _open(stream: BinaryIO) -> pq.ParquetFile:
    """Open a file so that texts which repeat stay one text in memory."""
    schema = pq.ParquetFile(stream).schema
    columns = (schema.column(index) for index in range(len(schema)))
    texts = [column.path for column in columns if column.physical_type == "BYTE_ARRAY"]
    stream.seek(0)
    return pq.ParquetFile(stream, read_dictionary=texts, pre_buffer=False)


def _check_size(number: int, batch: pa.RecordBatch) -> None:
    if sum(map(_text_bytes, batch.columns)) > BATCH_BYTES:
        message = f"The {len(batch)} rows from here hold more than {BATCH_BYTES} bytes."
        raise fault_of(number, message, "Shorten or split the rows.")


def _text_bytes(array: pa.Array) -> int:
    """Return how long the texts in an array are together, repeated ones as often as they stand."""
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary)
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    if pa.types.is_struct(array.type):
        return sum(map(_text_bytes, array.flatten()))
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        return _text_bytes(array.flatten())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return int(pc.sum(pc.binary_length(array)).as_py() or 0)
    return 0


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - a cell may hold any JSON
    """Return a cell without the fields that Arrow's structs have in every row and this one not."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _damaged(number: int, exc: Exception) -> InvalidData:
    reason = " ".join(str(exc).split())[:200]
    message = f"The Parquet file cannot be read ({reason})."
    return fault_of(number, message, "Write and upload it again, or save it as JSONL.")
