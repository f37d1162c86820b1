"""Evaluation in depth: what else is asked, of whom, and the suite of each answer.

Revision ID: 0010
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_UNIQUE = "uq_evaluation_rows_evaluation_id"


def upgrade() -> None:
    with op.batch_alter_table("evaluations") as table:
        table.add_column(sa.Column("options", _JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("evaluation_rows") as table:
        table.add_column(
            sa.Column("suite", sa.String(255), nullable=False, server_default="heldout")
        )
        table.alter_column(
            "arm", existing_type=sa.String(32), type_=sa.String(255), existing_nullable=False
        )
        table.drop_constraint(_UNIQUE, type_="unique")
        table.create_unique_constraint(_UNIQUE, ["evaluation_id", "suite", "arm", "row"])


def downgrade() -> None:
    with op.batch_alter_table("evaluation_rows") as table:
        table.drop_constraint(_UNIQUE, type_="unique")
        table.create_unique_constraint(_UNIQUE, ["evaluation_id", "arm", "row"])
        table.alter_column(
            "arm", existing_type=sa.String(255), type_=sa.String(32), existing_nullable=False
        )
        table.drop_column("suite")
    with op.batch_alter_table("evaluations") as table:
        table.drop_column("options")
