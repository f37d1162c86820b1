"""Many rows in one statement: encoded once as JSON, unpacked by the database itself.

It refuses to know what the rows mean. The database unpacks them without holding the interpreter,
so a batch costs the requests beside it next to nothing.
"""

from collections.abc import Sequence
from functools import cache

import msgspec
from sqlalchemy import (
    JSON,
    ColumnElement,
    Insert,
    String,
    Table,
    bindparam,
    cast,
    func,
    insert,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.records import Record

ROWS_AT_ONCE = 1000
"""Rows of one statement: to unpack them the database takes several times their length."""
_encode = msgspec.json.Encoder().encode


def encode_row(record: Record) -> bytes:
    """Return a record's fields, in order, as a JSON array."""
    return _encode(msgspec.structs.astuple(record))


def first_field(row: bytes) -> str:
    """Return the first field of an encoded record: its id."""
    return str(msgspec.json.decode(row)[0])


async def add_encoded(
    connection: AsyncConnection, table: Table, kind: type[Record], rows: Sequence[bytes]
) -> None:
    """Insert records that `encode_row` encoded; all of them or, when one is refused, none."""
    statement = _statement(table, kind, connection.dialect.name == "sqlite")
    for start in range(0, len(rows), ROWS_AT_ONCE):
        text = b"[" + b",".join(rows[start : start + ROWS_AT_ONCE]) + b"]"
        await connection.execute(statement, {"rows": text.decode()})


@cache
def _statement(table: Table, kind: type[Record], is_sqlite: bool) -> Insert:  # noqa: FBT001 - a key of the cache
    rows = bindparam("rows", type_=String)
    unpacked = func.json_each(rows) if is_sqlite else func.jsonb_array_elements(cast(rows, JSONB))
    source = unpacked.table_valued("value")
    names = kind.__struct_fields__
    values = [_value(source.c.value, at, table, name) for at, name in enumerate(names)]
    return insert(table).from_select(list(names), select(*values), include_defaults=False)


def _value(row: ColumnElement[object], at: int, table: Table, name: str) -> ColumnElement[object]:
    kind = table.c[name].type
    place: ColumnElement[object] = literal_column(str(at))
    if isinstance(kind, JSON):
        return row.op("->")(place)
    return cast(row.op("->>")(place), kind)
