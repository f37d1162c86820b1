"""Adapter versions.

It refuses to know whether one is loaded: that is observed.
"""

from typing import Any

from registry.lifecycle import AdapterStatus
from registry.records.record import Record


class AdapterVersion(Record, frozen=True, kw_only=True):
    """Immutable LoRA weights under an immutable name."""

    name: str
    """`ft:{base}:{project}:{suffix}:{id}`, with `:ckpt-step-N` for a checkpoint."""
    project: str
    """The project that owns it."""
    base_model: str
    """Name of the base model it was trained on."""
    job_id: str | None
    """The job that made it; none for an import."""
    step: int | None
    """The checkpoint's step; none for a job's final adapter."""
    directory: str
    """Folder below the artifact root that holds weights and manifest."""
    manifest_sha256: str
    """Hash of the manifest, which holds the hash of every file."""
    rank: int
    """The largest LoRA rank in it."""
    heldout_file: str | None
    """Id of the rows it never saw in training."""
    training_file: str | None
    """Id of the rows it was trained on."""
    status: AdapterStatus
    """Where it stands."""
    created_at: int
    """Unix time in seconds."""
    probe: dict[str, Any] | None = None
    """What the effect probe measured in the engine, once it ran."""
    reason: str | None = None
    """Why it was rejected."""
    pinned: bool = False
    """Whether it stays loaded although no deployment names it and nobody asks for it."""


class AdapterUse(Record, frozen=True, kw_only=True):
    """What one service process says about its use of one adapter version."""

    process: str
    """The service process."""
    adapter: str
    """Name of the adapter version."""
    in_flight: int
    """Requests it is answering or that wait for it to be loaded."""
    last_used_at: float
    """Unix time in seconds, with fractions, of the last request."""
    said_at: float
    """Unix time in seconds, with fractions, when the process said so."""
