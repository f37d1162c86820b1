"""The file object.

It refuses to know where the content lies.
"""

from typing import Literal

import msgspec

from registry.records import DataFile, Purpose


class FileObject(msgspec.Struct, frozen=True, kw_only=True):
    """A data file, in OpenAI's shape with `sha256` and `rows` added."""

    id: str
    """`file-` and 24 hexadecimal digits."""
    object: Literal["file"] = "file"
    """Always `file`."""
    bytes: int
    """Size in bytes."""
    created_at: int
    """Unix time in seconds."""
    expires_at: int | None = None
    """Files do not expire."""
    filename: str
    """The uploader's name for it, without folders."""
    purpose: Purpose
    """`fine-tune`, `evals` or `fine-tune-results`."""
    status: Literal["processed"] = "processed"
    """A file is stored only after it was validated."""
    status_details: str | None = None
    """In the answer to an upload: what was noticed but is no fault, such as repeated rows."""
    sha256: str
    """Hash of the content, hexadecimal."""
    rows: int
    """Rows of data; 0 when it holds no rows."""


def file_object(file: DataFile, notice: str | None = None) -> FileObject:
    """Return a record as it goes over the wire."""
    return FileObject(
        id=file.id,
        bytes=file.bytes,
        created_at=file.created_at,
        filename=file.filename,
        purpose=file.purpose,
        status_details=notice,
        sha256=file.sha256,
        rows=file.rows,
    )
