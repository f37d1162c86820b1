"""Answers of base models that later exams need not ask for, and which answers came from there.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLE = "known_answers"


def upgrade() -> None:
    kind = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        _TABLE,
        sa.Column("seq", kind, autoincrement=True, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(64), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=f"pk_{_TABLE}"),
        sa.UniqueConstraint("project", "key", name=f"uq_{_TABLE}_project"),
    )
    op.create_index(f"ix_{_TABLE}_scope", _TABLE, ["scope"])
    op.create_index(f"ix_{_TABLE}_created_at", _TABLE, ["created_at"])
    with op.batch_alter_table("evaluation_rows") as table:
        table.add_column(
            sa.Column("from_cache", sa.Boolean(), nullable=False, server_default=sa.false())
        )


def downgrade() -> None:
    with op.batch_alter_table("evaluation_rows") as table:
        table.drop_column("from_cache")
    op.drop_table(_TABLE)
