"""The parts of an upload on disk, and the file they make.

It refuses to know records and requests. What is written here is slow: keep it off the event loop.
"""

import hashlib
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from registry.durable import storage_errors, sync_directory
from registry.errors import Conflict

_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """What a row of parts came to."""

    bytes: int
    """Size in bytes."""
    sha256: str
    """Hash of the content, hexadecimal."""
    md5: str
    """The same by MD5."""


class PartStore:
    """A folder with one folder for each upload, and in it one file for each part."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def staging_path(self, upload_id: str, part_id: str) -> Path:
        """Return where a part is staged: beside its final place."""
        return self._directory / upload_id / f".{part_id}.part"

    def keep(self, staged: Path, upload_id: str, part_id: str) -> None:
        """Move a staged part, whose content is durable, to its final place."""
        staged.rename(self._directory / upload_id / part_id)
        sync_directory(staged.parent)
        sync_directory(self._directory)

    def assemble(self, upload_id: str, part_ids: Sequence[str], target: Path) -> Assembled:
        """Write parts one behind the other into a file, durably.

        Raises:
            StorageFull: The disk has no room for it.
            Conflict: The parts are gone: the upload ended meanwhile.
        """
        sha256 = hashlib.sha256()
        md5 = hashlib.md5(usedforsecurity=False)  # the uploader's own check, by OpenAI's choice
        size = 0
        with storage_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with target.open("wb") as whole:
                    for part_id in part_ids:
                        with (self._directory / upload_id / part_id).open("rb") as part:
                            while piece := part.read(_PIECE_BYTES):
                                sha256.update(piece)
                                md5.update(piece)
                                size += whole.write(piece)
                    whole.flush()
                    os.fsync(whole.fileno())
            except FileNotFoundError as exc:
                message = f"The parts of '{upload_id}' are gone: it was completed or has expired."
                raise Conflict(message) from exc
        return Assembled(bytes=size, sha256=sha256.hexdigest(), md5=md5.hexdigest())

    def forget_part(self, upload_id: str, part_id: str) -> None:
        """Delete a part that was not recorded; one that is gone already is no error."""
        (self._directory / upload_id / part_id).unlink(missing_ok=True)

    def forget(self, upload_id: str) -> None:
        """Delete all parts of an upload; one without any is no error."""
        shutil.rmtree(self._directory / upload_id, ignore_errors=True)

    def known(self) -> list[str]:
        """Return the uploads that have parts here."""
        if not self._directory.exists():
            return []
        return [path.name for path in self._directory.iterdir() if path.is_dir()]

    def forget_all(self, upload_ids: Collection[str]) -> None:
        """Delete all parts of some uploads."""
        for upload_id in upload_ids:
            self.forget(upload_id)
