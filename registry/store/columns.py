"""What tables are made of: the schema, and the columns that many of them have.

It refuses to know any table.
"""

from sqlalchemy import JSON, BigInteger, Column, Integer, MetaData, String
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def seq() -> Column[int]:
    """Return the column that orders rows by insertion."""
    kind = BigInteger().with_variant(Integer, "sqlite")
    return Column("seq", kind, primary_key=True, autoincrement=True)


def identifier(name: str = "id") -> Column[str]:
    """Return the column of a record's own name."""
    return Column(name, String(255), nullable=False, unique=True)


def json_column(name: str, *, nullable: bool = False, default: str | None = None) -> Column[object]:
    """Return a column of JSON; Python's None is SQL's NULL.

    Args:
        name: The column's.
        nullable: Whether it may be NULL.
        default: JSON that rows without a value get.
    """
    kind = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
    return Column(name, kind, nullable=nullable, server_default=default)
