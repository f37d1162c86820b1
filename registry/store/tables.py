"""Every table. A record's fields and its table's columns have the same names.

`seq` orders rows by insertion; lists are newest first and page on it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from registry.store.columns import identifier, json_column, metadata, seq

files = Table(
    "files",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False, index=True),
    Column("filename", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False, index=True),
    Column("model", String(255), nullable=False),
    Column("training_file", String(64), nullable=False),
    Column("validation_file", String(64)),
    Column("suffix", String(64)),
    Column("seed", BigInteger, nullable=False),
    json_column("method"),
    json_column("hyperparameters"),
    json_column("metadata"),
    json_column("training", default="{}"),
    json_column("integrations", default="[]"),
    Column("status", String(32), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("estimated_finish", BigInteger),
    Column("fine_tuned_model", String(255)),
    Column("trained_tokens", BigInteger),
    json_column("result_files"),
    json_column("error", nullable=True),
    Column("child_deaths", Integer, nullable=False, server_default="0"),
    Column("attempt", Integer, nullable=False, server_default="0"),
)

job_events = Table(
    "job_events",
    metadata,
    seq(),
    identifier(),
    Column("job_id", String(64), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("level", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("type", String(16), nullable=False),
    json_column("data"),
)

job_checkpoints = Table(
    "job_checkpoints",
    metadata,
    seq(),
    identifier(),
    Column("job_id", String(64), nullable=False, index=True),
    Column("step", Integer, nullable=False),
    Column("fine_tuned_model_checkpoint", String(255), nullable=False),
    json_column("metrics"),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("job_id", "step"),
)

adapters = Table(
    "adapters",
    metadata,
    seq(),
    identifier("name"),
    Column("project", String(64), nullable=False, index=True),
    Column("base_model", String(255), nullable=False),
    Column("job_id", String(64), index=True),
    Column("step", Integer),
    Column("directory", String(255), nullable=False),
    Column("manifest_sha256", String(64), nullable=False),
    Column("rank", Integer, nullable=False),
    Column("heldout_file", String(64)),
    Column("training_file", String(64)),
    Column("status", String(32), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    json_column("probe", nullable=True),
    Column("reason", Text),
    Column("pinned", Boolean, nullable=False, server_default=false()),
)

deployments = Table(
    "deployments",
    metadata,
    seq(),
    Column("name", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("stable", String(255), nullable=False),
    Column("candidate", String(255)),
    Column("candidate_weight", Float, nullable=False),
    Column("salt", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    json_column("ramp", default="[]"),
    Column("shadow", String(255)),
    Column("shadow_share", Float, nullable=False, server_default="0"),
    json_column("unit_from", default="[]"),
    UniqueConstraint("project", "name"),
)

deployment_changes = Table(
    "deployment_changes",
    metadata,
    seq(),
    Column("deployment", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("actor", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("stable", String(255), nullable=False),
    Column("candidate", String(255)),
    Column("candidate_weight", Float, nullable=False),
    Column("reason", Text),
    json_column("ramp", default="[]"),
    Column("shadow", String(255)),
    Column("shadow_share", Float, nullable=False, server_default="0"),
    json_column("unit_from", default="[]"),
    Column("is_override", Boolean, nullable=False, server_default=false()),
    Index("ix_deployment_changes_name", "project", "deployment"),
)

evaluations = Table(
    "evaluations",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False, index=True),
    Column("adapter", String(255), nullable=False, index=True),
    Column("heldout_file", String(64), nullable=False),
    Column("training_file", String(64)),
    json_column("policy"),
    Column("status", String(32), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("verdict", String(16)),
    json_column("results", nullable=True),
    Column("error", Text),
    json_column("options", default="{}"),
)

evaluation_rows = Table(
    "evaluation_rows",
    metadata,
    seq(),
    Column("evaluation_id", String(64), nullable=False),
    Column("arm", String(255), nullable=False),
    Column("row", Integer, nullable=False),
    Column("output", Text),
    json_column("scores"),
    Column("error", Text),
    Column("suite", String(255), nullable=False, server_default="heldout"),
    Column("from_cache", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("evaluation_id", "suite", "arm", "row"),
)

known_answers = Table(
    "known_answers",
    metadata,
    seq(),
    Column("project", String(64), nullable=False),
    Column("scope", String(64), nullable=False, index=True),
    Column("key", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
    UniqueConstraint("project", "key"),
)

interactions = Table(
    "interactions",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False),
    Column("deployment", String(64)),
    Column("arm", String(16), nullable=False),
    Column("model", String(255), nullable=False),
    Column("unit_hash", String(64)),
    Column("endpoint", String(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("finish_reason", String(32)),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("first_token_seconds", Float),
    Column("duration_seconds", Float, nullable=False),
    Column("created_at", Float(53), nullable=False, index=True),
    Column("key_id", String(64)),
    Column("shadow_of", String(255)),
    Column("mean_logprob", Float),
    json_column("features", default="{}"),
    Index("ix_interactions_deployment", "project", "deployment", "arm", "model", "seq"),
)

interaction_texts = Table(
    "interaction_texts",
    metadata,
    seq(),
    identifier("interaction_id"),
    Column("project", String(64), nullable=False),
    json_column("request"),
    Column("answer", Text, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Index("ix_interaction_texts_project", "project", "created_at"),
)

drift_reports = Table(
    "drift_reports",
    metadata,
    seq(),
    Column("project", String(64), nullable=False),
    Column("deployment", String(64), nullable=False),
    Column("arm", String(16), nullable=False),
    Column("model", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("computed_at", Float(53), nullable=False),
    Column("reference_rows", Integer, nullable=False),
    Column("reference_since", Float(53)),
    Column("reference_until", Float(53)),
    Column("window_rows", Integer, nullable=False),
    Column("window_since", Float(53)),
    Column("window_until", Float(53)),
    json_column("features"),
    UniqueConstraint("project", "deployment", "arm"),
)

projects = Table(
    "projects",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("text_share", Float, nullable=False),
    Column("text_retention_days", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
)

usage = Table(
    "usage",
    metadata,
    seq(),
    Column("project", String(64), nullable=False),
    Column("key_id", String(64), nullable=False),
    Column("model", String(255), nullable=False),
    Column("day", String(10), nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    UniqueConstraint("project", "day", "key_id", "model"),
)

adapter_uses = Table(
    "adapter_uses",
    metadata,
    seq(),
    Column("process", String(64), nullable=False),
    Column("adapter", String(255), nullable=False),
    Column("in_flight", Integer, nullable=False),
    Column("last_used_at", Float(53), nullable=False),
    Column("said_at", Float(53), nullable=False),
    UniqueConstraint("process", "adapter"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("expires_at", Float(53), nullable=False),
)

feedback = Table(
    "feedback",
    metadata,
    seq(),
    identifier(),
    Column("interaction_id", String(255), nullable=False, unique=True),
    Column("project", String(64), nullable=False),
    Column("score", Float),
    Column("label", Text),
    Column("comment", Text),
    Column("correction", Text),
    Column("created_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    seq(),
    identifier(),
    Column("project", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    json_column("scopes"),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
)

parts = Table(
    "parts",
    metadata,
    Column("part", String(32), primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("at", Float(53), nullable=False),
)
