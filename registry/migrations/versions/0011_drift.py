"""Drift reports, and the order in which a version's interactions are read for them.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_SEQ = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_INDEX = "ix_interactions_deployment"


def upgrade() -> None:
    op.create_table(
        "drift_reports",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("deployment", sa.String(64), nullable=False),
        sa.Column("arm", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("computed_at", sa.Float(53), nullable=False),
        sa.Column("reference_rows", sa.Integer, nullable=False),
        sa.Column("reference_since", sa.Float(53)),
        sa.Column("reference_until", sa.Float(53)),
        sa.Column("window_rows", sa.Integer, nullable=False),
        sa.Column("window_since", sa.Float(53)),
        sa.Column("window_until", sa.Float(53)),
        sa.Column("features", _JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_drift_reports"),
        sa.UniqueConstraint("project", "deployment", "arm", name="uq_drift_reports_project"),
    )
    # One index serves both: its beginning is the old one.
    op.drop_index(_INDEX, "interactions")
    op.create_index(_INDEX, "interactions", ["project", "deployment", "arm", "model", "seq"])


def downgrade() -> None:
    op.drop_index(_INDEX, "interactions")
    op.create_index(_INDEX, "interactions", ["project", "deployment"])
    op.drop_table("drift_reports")
