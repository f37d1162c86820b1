"""Models and adapter versions.

It refuses to know which of them a request is routed to.
"""

from typing import Any, Literal

import msgspec

from registry.artifacts import Manifest
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion


class ModelObject(msgspec.Struct, frozen=True, kw_only=True):
    """A name that can be sent as `model`, in OpenAI's shape."""

    id: str
    """The name."""
    object: Literal["model"] = "model"
    """Always `model`."""
    created: int
    """Unix time in seconds."""
    owned_by: str
    """`graftline` for the base model, the project for an adapter version, `deployment` for a
    deployment."""


class AdapterObject(msgspec.Struct, frozen=True, kw_only=True):
    """An adapter version with all that is known about it."""

    id: str
    """Its immutable name."""
    object: Literal["adapter"] = "adapter"
    """Always `adapter`."""
    created_at: int
    """Unix time in seconds."""
    project: str
    """The project that owns it."""
    base_model: str
    """Name of the base model."""
    job_id: str | None
    """The job that made it."""
    step: int | None
    """The checkpoint's step; null for a job's final adapter."""
    status: AdapterStatus
    """Where it stands."""
    reason: str | None
    """Why it was rejected."""
    loaded: bool
    """Whether a replica of the engine holds it now, as last observed."""
    replicas: list[str]
    """Host and port of each replica that holds it."""
    load_error: str | None
    """Why a replica could not load or examine it last time, such as damaged files; it is tried
    again, ever more rarely."""
    pinned: bool
    """Whether it stays loaded although no deployment names it and nobody asks for it."""
    rank: int
    """The largest LoRA rank in it."""
    training_file: str | None
    """Id of the rows it was trained on."""
    heldout_file: str | None
    """Id of the rows it never saw."""
    manifest_sha256: str
    """Hash of the manifest."""
    probe: dict[str, Any] | None
    """What the effect probe measured in the engine."""
    manifest: Manifest | None = None
    """What it is and how to make it again; null in lists, or when its files are gone or
    cannot be reached."""
    notices: list[str] | None = None
    """In the answer to an import: what was noticed but is no fault, such as files left behind."""


def adapter_object(
    version: AdapterVersion,
    *,
    replicas: list[str],
    load_error: str | None = None,
    manifest: Manifest | None = None,
    notices: list[str] | None = None,
) -> AdapterObject:
    """Return a record as it goes over the wire."""
    return AdapterObject(
        id=version.name,
        created_at=version.created_at,
        project=version.project,
        base_model=version.base_model,
        job_id=version.job_id,
        step=version.step,
        status=version.status,
        reason=version.reason,
        loaded=bool(replicas),
        replicas=replicas,
        load_error=load_error,
        pinned=version.pinned,
        rank=version.rank,
        training_file=version.training_file,
        heldout_file=version.heldout_file,
        manifest_sha256=version.manifest_sha256,
        probe=version.probe,
        manifest=manifest,
        notices=notices,
    )
