"""Uploads in parts, in OpenAI's shapes.

It refuses to know where the parts lie.
"""

from typing import Any, Literal

import msgspec

from registry.records import DataFile, Purpose, Upload, UploadPart
from service.wire.files import FileObject, file_object


class CreateUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A request to send a file in parts."""

    bytes: int
    """Size of the whole file in bytes."""
    filename: str
    """Its name."""
    mime_type: str
    """The kind of its content, such as `text/jsonl`; nothing depends on it."""
    purpose: str
    """`fine-tune` or `evals`."""
    expires_after: dict[str, Any] | None = None
    """Not supported: files stay until they are deleted."""


class CompleteUpload(msgspec.Struct, frozen=True, kw_only=True):
    """A request to put the parts together."""

    part_ids: list[str]
    """The parts, in the file's order."""
    md5: str | None = None
    """MD5 of the whole file, hexadecimal; checked when it is given."""


class UploadObject(msgspec.Struct, frozen=True, kw_only=True):
    """A file that comes in parts."""

    id: str
    """`upload-` and 24 hexadecimal digits."""
    object: Literal["upload"] = "upload"
    """Always `upload`."""
    bytes: int
    """Size of the whole file in bytes, as announced."""
    created_at: int
    """Unix time in seconds."""
    expires_at: int
    """Unix time in seconds from which it takes nothing any more."""
    filename: str
    """The uploader's name for the file, without folders."""
    purpose: Purpose
    """What the file is for."""
    status: Literal["pending", "completed", "cancelled", "expired"]
    """Where it stands."""
    file: FileObject | None
    """The file, once completed."""


class PartObject(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of an upload."""

    id: str
    """`part-` and 24 hexadecimal digits."""
    object: Literal["upload.part"] = "upload.part"
    """Always `upload.part`."""
    created_at: int
    """Unix time in seconds."""
    upload_id: str
    """The upload."""


def upload_object(
    upload: Upload, *, now: float, file: DataFile | None = None, notice: str | None = None
) -> UploadObject:
    """Return a record as it goes over the wire.

    Args:
        upload: The record.
        now: Unix time in seconds; a pending upload may be expired by then.
        file: The file it became.
        notice: What was noticed about the file but is no fault.
    """
    return UploadObject(
        id=upload.id,
        bytes=upload.bytes,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
        filename=upload.filename,
        purpose=upload.purpose,
        status="expired" if upload.is_expired(now) else upload.status.value,
        file=None if file is None else file_object(file, notice),
    )


def part_object(part: UploadPart) -> PartObject:
    """Return a record as it goes over the wire."""
    return PartObject(id=part.id, created_at=part.created_at, upload_id=part.upload_id)
