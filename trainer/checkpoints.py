"""Points to resume from: each is sealed once it is whole on disk, and only sealed ones count.

It refuses to know what a checkpoint holds.
"""

import shutil
from pathlib import Path

import msgspec

from registry.artifacts import sha256_of
from registry.durable import storage_errors, sync_tree, write_file

SEAL = "sealed.json"
"""Hashes of the other files; written last, so that a torn checkpoint has none."""
KEPT = 2
"""Sealed checkpoints kept: the newest, and one to fall back on."""


def seal(checkpoint: Path) -> None:
    """Make a checkpoint durable, and say so; older ones beyond `KEPT` are deleted.

    Raises:
        StorageFull: The disk is full; the checkpoint stays unsealed.
    """
    with storage_errors(checkpoint):
        sync_tree(checkpoint)
    hashes = {path.name: sha256_of(path) for path in sorted(checkpoint.iterdir())}
    write_file(checkpoint / SEAL, msgspec.json.encode(hashes))
    for old in _by_step(checkpoint.parent)[:-KEPT]:
        shutil.rmtree(old)


def newest(directory: Path) -> Path | None:
    """Return the newest sealed checkpoint whose files are what the seal says.

    Everything newer is a torn write and is deleted, so that the run can write it again.
    """
    for checkpoint in reversed(_by_step(directory)):
        if _is_whole(checkpoint):
            return checkpoint
        shutil.rmtree(checkpoint)
    return None


def step_of(checkpoint: Path) -> int:
    """Return the optimiser steps done at a checkpoint."""
    return int(checkpoint.name.rpartition("-")[2])


def _by_step(directory: Path) -> list[Path]:
    return sorted(directory.glob("checkpoint-*"), key=step_of)


def _is_whole(checkpoint: Path) -> bool:
    try:
        hashes = msgspec.json.decode((checkpoint / SEAL).read_bytes(), type=dict[str, str])
        return all(sha256_of(checkpoint / name) == digest for name, digest in hashes.items())
    except (OSError, msgspec.DecodeError):
        return False
