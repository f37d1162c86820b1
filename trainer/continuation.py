"""The version whose training goes on: found, copied to the job's folder, read.

It refuses to know how it is trained on.
"""

import shutil
from pathlib import Path
from typing import Any

import msgspec

from registry.artifact_store import ArtifactStore
from registry.durable import storage_errors
from registry.errors import ArtifactError, NotFound, TrainingFailed
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion, FineTuningJob, Record
from registry.store import Store

_FILES = ("adapter_config.json", "adapter_model.safetensors")


class Parent(Record, frozen=True, kw_only=True):
    """An earlier version, as it lies in the job's folder."""

    name: str
    """Its name."""
    manifest_sha256: str
    """Hash of its manifest."""
    base_sha256: str
    """Hash over the base model that it was trained on."""
    rank: int
    """Its rank where no pattern says otherwise; what is trained keeps it."""
    alpha: int
    """Its alpha, likewise."""

    def requested(self, hyperparameters: dict[str, Any]) -> dict[str, Any]:
        """Return a job's hyperparameters with the shape of this version.

        Raises:
            TrainingFailed: With code `invalid_hyperparameters`: another shape is asked for.
        """
        shape = {"lora_rank": self.rank, "lora_alpha": self.alpha}
        for name, value in shape.items():
            if hyperparameters.get(name, "auto") not in ("auto", value):
                raise TrainingFailed(
                    "invalid_hyperparameters",
                    f"'{name}' is {value:g} in '{self.name}', and training that goes on from it "
                    f"cannot change it. Leave '{name}' out, or train on the base model.",
                    f"hyperparameters.{name}",
                )
        return hyperparameters | shape


async def find_parent(store: Store, job: FineTuningJob, base_name: str) -> AdapterVersion:
    """Return the version that a job's model names.

    Raises:
        TrainingFailed: With code `parent_unavailable`: it is gone, was rejected, or belongs to
            another base model.
    """
    try:
        version = await store.adapters.get(job.model, project=job.project)
    except NotFound as exc:
        raise _unavailable(job.model, "it does not exist") from exc
    if version.status not in (AdapterStatus.PUBLISHED, AdapterStatus.READY):
        raise _unavailable(job.model, f"it is {version.status}")
    if version.base_model != base_name:
        raise _unavailable(
            job.model, f"it belongs to the base model '{version.base_model}', not '{base_name}'"
        )
    return version


def adopt(version: AdapterVersion, store: ArtifactStore, target: Path) -> Parent:
    """Copy a version's files, checked, so that a later deletion does not end the job.

    Args:
        version: Its record.
        store: Where its files lie.
        target: A folder of the job's.

    Raises:
        TrainingFailed: With code `parent_unavailable`: its files are damaged or gone, or its
            alpha is no whole number.
        StorageFull: The disk is full.
    """
    try:
        manifest = store.bring(version.directory, version.manifest_sha256)
        source = store.root_of(version.directory)
    except (ArtifactError, OSError) as exc:
        raise _unavailable(version.name, f"its files cannot be used ({exc})") from exc
    shutil.rmtree(target, ignore_errors=True)
    with storage_errors(target):
        target.mkdir(parents=True)
        for name in _FILES:
            shutil.copyfile(source / name, target / name)
    config = msgspec.json.decode((target / _FILES[0]).read_bytes(), type=dict[str, Any])
    if config["lora_alpha"] != int(config["lora_alpha"]):
        raise _unavailable(version.name, "its alpha is no whole number")
    return Parent(
        name=version.name,
        manifest_sha256=version.manifest_sha256,
        base_sha256=manifest.base_sha256,
        rank=config["r"],
        alpha=int(config["lora_alpha"]),
    )


def _unavailable(name: str, reason: str) -> TrainingFailed:
    return TrainingFailed(
        "parent_unavailable",
        f"Training cannot go on from '{name}': {reason}. Name another version, or the base model.",
        "model",
    )
