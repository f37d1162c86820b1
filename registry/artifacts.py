"""Adapters on disk: layout, manifest with checksums, atomic publication, verification.

It refuses to know how the weights came to be. Layout below the adapter root:

    <directory>/adapter_config.json
    <directory>/adapter_model.safetensors
    <directory>/README.md                 the model card
    <directory>/manifest.json             without it there is no artifact
    <directory>/model.sig                 the signature over all the others, where a key is set
    <directory>-full/                     the full checkpoint of a full fine-tuning, likewise
"""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from registry.durable import storage_errors, sync_directory, sync_tree, write_file
from registry.errors import CorruptArtifact
from registry.records import Record
from registry.signing import SIGNATURE

MANIFEST = "manifest.json"
"""Name of the file that lists the others."""
CARD = "README.md"
"""Name of the model card."""
_ALLOWED_SUFFIXES = frozenset({".json", ".safetensors", ".jinja", ".md", ".csv", ".txt"})


class ProbeRow(Record, frozen=True, kw_only=True):
    """A short exam that the engine must answer as the trainer did."""

    token_ids: list[int]
    """Prompt and target, tokenised."""
    target_start: int
    """Index of the first target token."""
    base_logprobs: list[float]
    """The base model's log-probability of each target token, in nats; empty when unknown."""
    adapter_logprobs: list[float]
    """The adapter's log-probability of each target token, in nats; empty when unknown, as for an
    adapter that was trained elsewhere."""


class Manifest(Record, frozen=True, kw_only=True):
    """What an artifact is and how to make it again."""

    name: str
    """The adapter version's name."""
    job_id: str | None
    """The job that made it."""
    base_model: str
    """Name of the base model."""
    base_sha256: str
    """Hash over the base model's configuration and weights."""
    training_sha256: str | None
    """Hash of the training file; none for an import."""
    validation_sha256: str | None
    """Hash of the held-out file."""
    hyperparameters: dict[str, Any]
    """As resolved: nothing is `auto`."""
    seed: int | None
    """Seed of the run; none for an import."""
    step: int | None
    """Optimiser steps done; none for an import."""
    libraries: dict[str, str]
    """Versions of the libraries that took part."""
    probe: list[ProbeRow]
    """What the trainer measured on a few rows."""
    metrics: dict[str, float]
    """Last losses and accuracies."""
    created_at: int
    """Unix time in seconds."""
    plan: dict[str, Any] = msgspec.field(default_factory=dict)
    """All that the training process was told, as in `trainer/protocol.py`: ids and hashes of the
    files, hyperparameters, options, seed; empty for an import."""
    template_sha256: str | None = None
    """Hash of the chat template that rows were rendered with; none for an import, and where the
    tokenizer has none."""
    parent: str | None = None
    """The version that the training went on from; none when it began with the base model."""
    files: dict[str, str] = msgspec.field(default_factory=dict)
    """Hash of every file but the manifest, by its name."""


class Published(Record, frozen=True, kw_only=True):
    """Where a published artifact lies."""

    directory: Path
    """Its folder."""
    manifest_sha256: str
    """Hash of its manifest."""


def full_directory(directory: str) -> str:
    """Return the folder of the full checkpoint that belongs to an adapter's folder."""
    return f"{directory}-full"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def identity_of_base(folder: Path) -> str:
    """Return the hash over a base model's configuration and weights; slow for large ones."""
    whole = hashlib.sha256()
    for path in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        whole.update(f"{path.name}:{sha256_of(path)}\n".encode())
    return whole.hexdigest()


def publish(
    staged: Path,
    target: Path,
    manifest: Manifest,
    sign: Callable[[Path], None] | None = None,
) -> Published:
    """Move a finished folder to its final place, whole or not at all.

    The hashes of the staged files are added to the manifest, which is written last, but for the
    signature over all of them. A target that exists already with a valid manifest is left alone:
    publication is idempotent.

    Args:
        staged: Folder with the files, on the same file system as `target`.
        target: Final folder.
        manifest: What to record; its `files` are filled in here.
        sign: Writes the signature into the folder it is given, when a key is set.

    Raises:
        CorruptArtifact: `staged` holds a kind of file that is never published.
        StorageFull: The disk is full; nothing is visible at `target`.
    """
    if (target / MANIFEST).exists():
        verify(target)
        return Published(directory=target, manifest_sha256=sha256_of(target / MANIFEST))
    files = {path.name: sha256_of(path) for path in sorted(staged.iterdir())}
    for name in files:
        if Path(name).suffix not in _ALLOWED_SUFFIXES:
            raise CorruptArtifact(staged.name, f"'{name}' is not a kind of file we publish")
    whole = msgspec.structs.replace(manifest, files=files)
    with storage_errors(target):
        sync_tree(staged)
        write_file(staged / MANIFEST, msgspec.json.format(msgspec.json.encode(whole), indent=1))
        if sign is not None:
            sign(staged)
            sync_tree(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        staged.rename(target)
        sync_directory(target.parent)
    return Published(directory=target, manifest_sha256=sha256_of(target / MANIFEST))


def read_manifest(directory: Path) -> Manifest:
    """Return the manifest of a published artifact.

    Raises:
        CorruptArtifact: There is none, or it cannot be read.
    """
    try:
        return msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise CorruptArtifact(directory.name, f"unreadable manifest ({exc})") from exc


def verify(directory: Path) -> Manifest:
    """Check every file of an artifact against the manifest, and return the manifest.

    Raises:
        CorruptArtifact: A file is missing, altered, or not listed.
    """
    manifest = read_manifest(directory)
    present = {path.name for path in directory.iterdir()} - {MANIFEST, SIGNATURE}
    if present != set(manifest.files):
        odd = ", ".join(sorted(present ^ set(manifest.files)))
        raise CorruptArtifact(directory.name, f"missing or unlisted files: {odd}")
    for name, expected in manifest.files.items():
        if not (directory / name).is_file() or sha256_of(directory / name) != expected:
            raise CorruptArtifact(directory.name, f"'{name}' does not match its checksum")
    return manifest
