"""Uploads in parts, and their parts.

It refuses to know where the parts' content lies.
"""

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from registry.errors import Conflict, Invalid, NotFound
from registry.records import DataFile, Upload, UploadPart, UploadStatus
from registry.store import exchange_tables, tables
from registry.store.database import Database
from registry.store.rows import add, fetch_all, fetch_first

_UPLOADS, _PARTS = exchange_tables.uploads, exchange_tables.upload_parts
_TIMES_ANNOUNCED = 2
"""How often the announced bytes fit into the parts: one whose answer was lost comes again."""


class Uploads:
    """The records of uploads in parts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, upload: Upload, *, most_pending: int) -> None:
        """Store a new upload, unless its project has too many pending ones.

        Raises:
            Conflict: It has.
        """
        pending = select(func.count()).where(
            _UPLOADS.c.project == upload.project,
            _UPLOADS.c.status == UploadStatus.PENDING,
            _UPLOADS.c.expires_at > upload.created_at,
        )
        async with self._database.write() as connection:
            if (await connection.execute(pending)).scalar_one() >= most_pending:
                raise Conflict(
                    f"The project has {most_pending} pending uploads. Complete or cancel one, or "
                    "wait until one expires."
                )
            await add(connection, _UPLOADS, upload)

    async def get(self, identifier: str, *, project: str) -> Upload:
        """Return a project's upload.

        Raises:
            NotFound: There is none, or it belongs to another project.
        """
        query = select(_UPLOADS).where(_UPLOADS.c.id == identifier, _UPLOADS.c.project == project)
        async with self._database.read() as connection:
            found = await fetch_first(connection, query, Upload)
        if found is None:
            raise NotFound("upload", identifier)
        return found

    async def add_part(self, part: UploadPart, *, now: int) -> None:
        """Record a part whose content is durable.

        Raises:
            Conflict: The upload takes no parts any more.
            Invalid: With it the parts would be larger than twice what was announced.
        """
        taken = select(func.coalesce(func.sum(_PARTS.c.bytes), 0)).where(
            _PARTS.c.upload_id == part.upload_id
        )
        async with self._database.write() as connection:
            upload = await _pending(connection, part.upload_id, now)
            together = int((await connection.execute(taken)).scalar_one()) + part.bytes
            if together > _TIMES_ANNOUNCED * upload.bytes:
                raise Invalid(
                    f"With this part the upload would have {together} bytes; {upload.bytes} were "
                    f"announced, and at most {_TIMES_ANNOUNCED} times as many are taken. Create an "
                    "upload with the right 'bytes'.",
                    "data",
                )
            await add(connection, _PARTS, part)

    async def parts(self, upload_id: str) -> list[UploadPart]:
        """Return an upload's parts, in the order in which they came."""
        query = select(_PARTS).where(_PARTS.c.upload_id == upload_id).order_by(_PARTS.c.seq)
        async with self._database.read() as connection:
            return await fetch_all(connection, query, UploadPart)

    async def complete(self, identifier: str, file: DataFile, *, now: int) -> None:
        """Record the file that an upload became, and that it is completed, in one transaction.

        Raises:
            Conflict: It was completed or cancelled meanwhile, or expired; nothing is recorded.
        """
        async with self._database.write() as connection:
            await _pending(connection, identifier, now)
            await add(connection, tables.files, file)
            await _settle(connection, identifier, UploadStatus.COMPLETED, file_id=file.id)

    async def cancel(self, identifier: str, *, now: int) -> None:
        """Cancel an upload.

        Raises:
            Conflict: It was completed or cancelled meanwhile, or expired.
        """
        async with self._database.write() as connection:
            await _pending(connection, identifier, now)
            await _settle(connection, identifier, UploadStatus.CANCELLED)

    async def open_ids(self, *, now: int) -> set[str]:
        """Return the ids of every upload that may still take parts, in all projects."""
        query = select(_UPLOADS.c.id).where(
            _UPLOADS.c.status == UploadStatus.PENDING, _UPLOADS.c.expires_at > now
        )
        async with self._database.read() as connection:
            return set((await connection.execute(query)).scalars())


async def _pending(connection: AsyncConnection, identifier: str, now: int) -> Upload:
    # The row's lock: of two that complete, or complete and cancel, the second sees the first.
    query = select(_UPLOADS).where(_UPLOADS.c.id == identifier).with_for_update()
    found = await fetch_first(connection, query, Upload)
    if found is None:
        raise NotFound("upload", identifier)
    require_pending(found, now)
    return found


def require_pending(upload: Upload, now: float) -> None:
    """Check that an upload still takes parts.

    Raises:
        Conflict: It is completed, cancelled or expired; the message says what to do.
    """
    if upload.is_expired(now):
        raise Conflict(f"The upload '{upload.id}' is expired. Create a new one.")
    if upload.status is not UploadStatus.PENDING:
        raise Conflict(f"The upload '{upload.id}' is {upload.status} already.")


async def _settle(
    connection: AsyncConnection, identifier: str, status: UploadStatus, **changes: str
) -> None:
    change = update(_UPLOADS).where(_UPLOADS.c.id == identifier)
    await connection.execute(change.values(status=status, **changes))
