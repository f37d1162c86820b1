"""The tables of what comes and goes piece by piece: uploads in parts, webhooks and deliveries.

They belong to the same schema as all others; `tables` has no room for them.
"""

from sqlalchemy import BigInteger, Column, Float, Index, String, Table, Text

from registry.store.columns import identifier, json_column, metadata, seq

uploads = Table(
    "uploads",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("mime_type", Text, nullable=False),
    Column("status", String(32), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("file_id", String(64)),
)

upload_parts = Table(
    "upload_parts",
    metadata,
    seq(),
    identifier(),
    Column("upload_id", String(64), nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    json_column("event_types"),
    Column("secret", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("old_secret", String(64)),
    Column("old_secret_until", BigInteger),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    seq(),
    identifier(),
    Column("endpoint_id", String(64), nullable=False, index=True),
    Column("project", String(64), nullable=False),
    Column("event_id", String(64), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", String(32), nullable=False),
    Column("next_attempt_at", Float(53), nullable=False),
    json_column("attempts"),
    Index("ix_webhook_deliveries_status", "status", "next_attempt_at"),
)
