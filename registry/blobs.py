"""The content of data files on disk.

It refuses to know their records; a blob is found by the file's id.
"""

from pathlib import Path

from registry.durable import write_file


class Blobs:
    """A folder with one immutable blob for each file id."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, file_id: str) -> Path:
        """Return where the content of a file lies. Ids are ours, never a user's words."""
        return self.directory / file_id

    def write(self, file_id: str, content: bytes) -> None:
        """Store content durably.

        Raises:
            StorageFull: The disk is full; nothing is stored.
        """
        write_file(self.path(file_id), content)

    def delete(self, file_id: str) -> None:
        """Delete content; one that is gone already is no error."""
        self.path(file_id).unlink(missing_ok=True)
