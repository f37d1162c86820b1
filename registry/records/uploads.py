"""Uploads in parts: a large file on its way, piece by piece.

It refuses to know where the pieces lie.
"""

from enum import StrEnum

from registry.records.files import Purpose
from registry.records.record import Record


class UploadStatus(StrEnum):
    """States of an upload, by OpenAI's names. `expired` is none of them: the clock tells it."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class Upload(Record, frozen=True, kw_only=True):
    """A file that comes in parts."""

    id: str
    """`upload-` and 24 hexadecimal digits."""
    project: str
    """The project that owns it."""
    filename: str
    """The name the uploader gave; never used as a path."""
    purpose: Purpose
    """What the file is for."""
    bytes: int
    """Size of the whole file in bytes, as announced."""
    mime_type: str
    """The uploader's word for the content; nothing depends on it."""
    status: UploadStatus
    """Where it stands."""
    created_at: int
    """Unix time in seconds."""
    expires_at: int
    """Unix time in seconds from which a pending upload takes nothing any more."""
    file_id: str | None = None
    """The file, once completed."""

    def is_expired(self, now: float) -> bool:
        """Return whether the upload was left pending until a Unix time, in seconds."""
        return self.status is UploadStatus.PENDING and self.expires_at <= now


class UploadPart(Record, frozen=True, kw_only=True):
    """One piece of an upload, durable."""

    id: str
    """`part-` and 24 hexadecimal digits."""
    upload_id: str
    """The upload."""
    bytes: int
    """Size in bytes."""
    created_at: int
    """Unix time in seconds."""
