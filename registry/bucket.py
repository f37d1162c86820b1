"""Objects in an S3-compatible bucket: put, get, listed and deleted, each with a deadline.

It refuses to know what the objects are.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from registry.errors import StoreAway
from registry.records import Record

CONNECT_SECONDS = 5.0
"""Longest time until a connection is open."""
REQUEST_SECONDS = 30.0
"""Longest time of one request, such as one part of an upload; and of a download's standstill."""
DOWNLOAD_SECONDS = 3600.0
"""Longest time of a download that goes on."""
RETRY_SECONDS = 10.0
"""Time after which a failed request is not tried again."""
PIECE_BYTES = 8 * 1024 * 1024
"""Least bytes of a download that are in memory at a time."""
_LONGEST_WORDS = 300


class Listed(Record, frozen=True, kw_only=True):
    """An object in a listing."""

    key: str
    """Its key below the bucket's prefix."""
    modified_at: datetime
    """When it was written."""


class Bucket:
    """A bucket, or the part of it below a prefix."""

    def __init__(self, url: str, endpoint: str | None = None) -> None:
        """Know a bucket; nothing is sent yet.

        Args:
            url: `s3://bucket/prefix`.
            endpoint: URL of a server other than Amazon's.
        """
        self._store = _store(url, endpoint, longest_seconds=REQUEST_SECONDS)
        self._downloads = _store(url, endpoint, longest_seconds=DOWNLOAD_SECONDS)

    def put(self, key: str, path: Path) -> None:
        """Store a file's content, whole or not at all.

        Raises:
            StoreAway: The bucket cannot be written.
        """
        with _translated():
            obstore.put(self._store, key, path)

    def read(self, key: str) -> bytes:
        """Return an object's content.

        Raises:
            FileNotFoundError: There is no such object.
            StoreAway: The bucket cannot be read.
        """
        with self._missing_or_away():
            return obstore.get(self._store, key).bytes().to_bytes()

    def download(self, key: str, path: Path) -> None:
        """Write an object's content to a file, piece by piece.

        Raises:
            FileNotFoundError: There is no such object.
            StoreAway: The bucket cannot be read.
            OSError: The file cannot be written.
        """
        with self._missing_or_away():
            pieces = iter(obstore.get(self._downloads, key).stream(PIECE_BYTES))
        with path.open("wb") as stream:
            while True:
                with self._missing_or_away():
                    piece = next(pieces, None)
                if piece is None:
                    return
                stream.write(piece)

    def below(self, folder: str) -> list[Listed]:
        """Return every object below a folder, in no order.

        Raises:
            StoreAway: The bucket cannot be read.
        """
        with _translated():
            return [
                Listed(key=found["path"], modified_at=found["last_modified"])
                for page in obstore.list(self._store, folder)
                for found in page
            ]

    def folders(self) -> list[str]:
        """Return the names of the folders at the top.

        Raises:
            StoreAway: The bucket cannot be read.
        """
        with _translated():
            return list(obstore.list_with_delimiter(self._store)["common_prefixes"])

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; one that is gone already is no error.

        Raises:
            StoreAway: The bucket cannot be written.
        """
        if keys:
            with _translated():
                obstore.delete(self._store, keys)

    @contextmanager
    def _missing_or_away(self) -> Iterator[None]:
        """Tell an object that is missing from a bucket that is: both are answered with 404."""
        try:
            with _translated(missing=FileNotFoundError):
                yield
        except FileNotFoundError:
            self.folders()
            raise


def _store(url: str, endpoint: str | None, *, longest_seconds: float) -> S3Store:
    parts = urlsplit(url)
    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        config={} if endpoint is None else {"endpoint": endpoint.rstrip("/")},
        client_options={
            "allow_http": endpoint is not None and endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "read_timeout": timedelta(seconds=REQUEST_SECONDS),
            "timeout": timedelta(seconds=longest_seconds),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
    )


@contextmanager
def _translated(missing: type[Exception] = StoreAway) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as exc:
        if isinstance(exc, missing):
            raise
        words = str(exc).partition("\n")[0][:_LONGEST_WORDS]
        message = f"The artifact store cannot be used; it is tried again ({words})."
        raise StoreAway("artifact_store", message) from exc
