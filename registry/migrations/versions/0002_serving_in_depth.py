"""Serving in depth: limits, usage, ramps, shadows, kept texts, pins and leases.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SEQ = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    _add_columns()
    _create_tables()


def _add_columns() -> None:
    with op.batch_alter_table("adapters") as table:
        table.add_column(
            sa.Column("pinned", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("deployments") as table:
        _add_trial(table)
    with op.batch_alter_table("deployment_changes") as table:
        _add_trial(table)
        table.add_column(
            sa.Column("is_override", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("interactions") as table:
        table.add_column(sa.Column("key_id", sa.String(64)))
        table.add_column(sa.Column("shadow_of", sa.String(255)))
        table.add_column(sa.Column("mean_logprob", sa.Float()))
        table.add_column(sa.Column("features", _JSON, nullable=False, server_default="{}"))
    with op.batch_alter_table("api_keys") as table:
        table.add_column(sa.Column("expires_at", sa.BigInteger()))
        table.add_column(sa.Column("requests_per_minute", sa.BigInteger()))
        table.add_column(sa.Column("tokens_per_minute", sa.BigInteger()))
    with op.batch_alter_table("feedback") as table:  # a comment or a correction has no score
        table.alter_column("score", existing_type=sa.Float(), nullable=True)


def _add_trial(table: BatchOperations) -> None:
    table.add_column(sa.Column("ramp", _JSON, nullable=False, server_default="[]"))
    table.add_column(sa.Column("shadow", sa.String(255)))
    table.add_column(sa.Column("shadow_share", sa.Float(), nullable=False, server_default="0"))
    table.add_column(sa.Column("unit_from", _JSON, nullable=False, server_default="[]"))


def _create_tables() -> None:
    op.create_table(
        "interaction_texts",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("interaction_id", sa.String(255), nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_interaction_texts")),
        sa.UniqueConstraint("interaction_id", name=op.f("uq_interaction_texts_interaction_id")),
    )
    op.create_index("ix_interaction_texts_project", "interaction_texts", ["project", "created_at"])
    op.create_table(
        "projects",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("text_share", sa.Float(), nullable=False),
        sa.Column("text_retention_days", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
    )
    op.create_table(
        "usage",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("project", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_usage")),
        sa.UniqueConstraint("project", "day", "key_id", "model", name=op.f("uq_usage_project")),
    )
    op.create_table(
        "adapter_uses",
        sa.Column("seq", _SEQ, autoincrement=True, nullable=False),
        sa.Column("process", sa.String(64), nullable=False),
        sa.Column("adapter", sa.String(255), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("last_used_at", sa.Float(53), nullable=False),
        sa.Column("said_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_adapter_uses")),
        sa.UniqueConstraint("process", "adapter", name=op.f("uq_adapter_uses_process")),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("expires_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )


def downgrade() -> None:
    for name in ("leases", "adapter_uses", "usage", "projects", "interaction_texts"):
        op.drop_table(name)
    added = {
        "adapters": ["pinned"],
        "deployments": ["ramp", "shadow", "shadow_share", "unit_from"],
        "deployment_changes": ["ramp", "shadow", "shadow_share", "unit_from", "is_override"],
        "interactions": ["key_id", "shadow_of", "mean_logprob", "features"],
        "api_keys": ["expires_at", "requests_per_minute", "tokens_per_minute"],
    }
    for table, columns in added.items():
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
    op.execute("DELETE FROM feedback WHERE score IS NULL")
    with op.batch_alter_table("feedback") as batch:
        batch.alter_column("score", existing_type=sa.Float(), nullable=False)
