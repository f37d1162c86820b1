"""`/v1/uploads`: a large file in parts, put together at the end.

It refuses to know what a row means: the whole file is validated as any other.
"""

import time
from pathlib import Path
from typing import Any

from anyio import to_thread
from litestar import Request, Router, post
from litestar.params import FromPath, JSONBody

from registry.errors import Conflict, Invalid, NotFound, PartTooLarge, TooLarge
from registry.identifiers import new_id
from registry.records import ApiKey, DataFile, Purpose, Scope, Upload, UploadPart, UploadStatus
from registry.store.uploads import require_pending
from service import uploads
from service.assembly import Assembled
from service.auth import needs
from service.context import Caller, Parts
from service.description import MULTIPART, described, form_schema, may
from service.forms import FilePart, Form, boundary_of, display_name
from service.services import Services
from service.wire.uploads import (
    CompleteUpload,
    CreateUpload,
    PartObject,
    UploadObject,
    part_object,
    upload_object,
)

UPLOAD_SECONDS = 3600
"""Time from its creation in which an upload takes parts."""
MAX_PART_BYTES = 64 * 1024 * 1024
"""Largest part, by OpenAI's rule."""
MOST_PENDING = 32
"""Pending uploads of one project."""
MOST_PARTS = 10_000
"""Parts that one file is put together from."""
_FORM_BYTES = 1024 * 1024
_LONGEST_MIME = 255
_UPLOADABLE = (Purpose.FINE_TUNE, Purpose.EVALS)
_FORM = form_schema(files={"data": "A piece of the file."}, fields={}, required=("data",))


@post("/", status_code=200, responses=may(409))
async def create_upload(
    services: Parts, caller: Caller, data: JSONBody[CreateUpload]
) -> UploadObject:
    """Announce a file that is sent in parts, within an hour."""
    now = int(time.time())
    upload = _new_upload(data, caller, services.settings.max_upload_bytes, now)
    await services.store.uploads.add(upload, most_pending=MOST_PENDING)
    return upload_object(upload, now=now)


@post(
    "/{upload_id:str}/parts",
    request_max_body_size=None,
    status_code=200,
    operation_class=described(body={MULTIPART: _FORM}),
    responses=may(409, 507),
)
async def add_part(
    request: Request[Any, Any, Any], services: Parts, caller: Caller, upload_id: FromPath[str]
) -> PartObject:
    """Add a part as the form field `data`, at most 64 MiB; the answer comes when it is durable.

    Several parts may be sent at once; their order is said when the upload is completed.
    """
    upload = await services.store.uploads.get(upload_id, project=caller.project)
    now = int(time.time())
    require_pending(upload, now)
    if int(request.headers.get("content-length") or 0) > MAX_PART_BYTES + _FORM_BYTES:
        raise PartTooLarge(MAX_PART_BYTES)
    boundary = boundary_of(request.headers.get("content-type", ""), "data")
    part_id, store = new_id("part"), services.part_store
    staged = store.staging_path(upload.id, part_id)
    piece = FilePart(staged, limit_bytes=MAX_PART_BYTES, setting="")
    form = Form({"data": piece})
    try:
        await form.receive(request.stream(), boundary)
        _require_content(piece)
        await to_thread.run_sync(store.keep, staged, upload.id, part_id)
    except TooLarge as exc:
        raise PartTooLarge(exc.limit_bytes) from exc
    finally:
        await to_thread.run_sync(form.close)
    part = UploadPart(id=part_id, upload_id=upload.id, bytes=piece.bytes, created_at=now)
    try:
        await services.store.uploads.add_part(part, now=now)
    except (Conflict, Invalid):
        await to_thread.run_sync(store.forget_part, upload.id, part_id)
        raise
    return part_object(part)


@post("/{upload_id:str}/complete", status_code=200, responses=may(409, 507))
async def complete_upload(
    services: Parts, caller: Caller, upload_id: FromPath[str], data: JSONBody[CompleteUpload]
) -> UploadObject:
    """Put the parts together; faulty rows are refused by line, and the upload stays pending.

    Completing it again changes nothing and has the same answer.
    """
    upload = await services.store.uploads.get(upload_id, project=caller.project)
    now = int(time.time())
    if upload.status is UploadStatus.COMPLETED:
        return upload_object(upload, now=now, file=await _file_of(services, upload))
    require_pending(upload, now)
    await _check_parts(services, upload, data)
    file_id = new_id("file")
    staged = uploads.staging_path(services.blobs, file_id)
    try:
        whole = await to_thread.run_sync(
            services.part_store.assemble, upload.id, data.part_ids, staged
        )
        _check_whole(upload, whole, data.md5)
        checked = await to_thread.run_sync(uploads.check, staged, upload.filename)
        await to_thread.run_sync(uploads.keep, staged, services.blobs, file_id)
    finally:
        await to_thread.run_sync(_forget, staged)
    file = _data_file(upload, file_id, whole, checked.summary.rows, now)
    try:
        await services.store.uploads.complete(upload.id, file, now=now)
    except Conflict:  # another request was first
        await to_thread.run_sync(services.blobs.delete, file_id)
        raise
    await to_thread.run_sync(services.part_store.forget, upload.id)
    completed = await services.store.uploads.get(upload.id, project=caller.project)
    return upload_object(completed, now=now, file=file, notice=uploads.notice(checked))


@post("/{upload_id:str}/cancel", status_code=200, responses=may(409))
async def cancel_upload(services: Parts, caller: Caller, upload_id: FromPath[str]) -> UploadObject:
    """Cancel a pending upload and forget its parts; a second call changes nothing."""
    upload = await services.store.uploads.get(upload_id, project=caller.project)
    now = int(time.time())
    if upload.status is not UploadStatus.CANCELLED:
        await services.store.uploads.cancel(upload.id, now=now)
        await to_thread.run_sync(services.part_store.forget, upload.id)
    cancelled = await services.store.uploads.get(upload.id, project=caller.project)
    return upload_object(cancelled, now=now)


def _new_upload(request: CreateUpload, caller: ApiKey, limit_bytes: int, now: int) -> Upload:
    if request.bytes < 1:
        raise Invalid("'bytes' must be the size of the file, at least 1.", "bytes")
    if request.bytes > limit_bytes:
        raise TooLarge(limit_bytes)
    if request.purpose not in _UPLOADABLE:
        names = " or ".join(f"'{purpose}'" for purpose in _UPLOADABLE)
        raise Invalid(f"'purpose' is '{request.purpose[:64]}'; use {names}.", "purpose")
    if not 1 <= len(request.mime_type) <= _LONGEST_MIME or not request.mime_type.isprintable():
        raise Invalid("'mime_type' must name a kind, such as 'text/jsonl'.", "mime_type")
    if request.expires_after is not None:
        raise Invalid(
            "'expires_after' is not supported: a file stays until it is deleted.", "expires_after"
        )
    return Upload(
        id=new_id("upload"),
        project=caller.project,
        filename=display_name(request.filename),
        purpose=Purpose(request.purpose),
        bytes=request.bytes,
        mime_type=request.mime_type,
        status=UploadStatus.PENDING,
        created_at=now,
        expires_at=now + UPLOAD_SECONDS,
    )


def _require_content(piece: FilePart) -> None:
    if piece.filename is None or piece.bytes == 0:
        raise Invalid("The form has no content in a part named 'data'.", "data")


async def _check_parts(services: Services, upload: Upload, request: CompleteUpload) -> None:
    wanted = request.part_ids
    if not 1 <= len(wanted) <= MOST_PARTS or len(set(wanted)) < len(wanted):
        raise Invalid(
            f"'part_ids' must name each part once, in order, and at most {MOST_PARTS}.", "part_ids"
        )
    known = {part.id for part in await services.store.uploads.parts(upload.id)}
    for part_id in wanted:
        if part_id not in known:
            message = f"The upload '{upload.id}' has no part '{part_id[:64]}'."
            raise Invalid(message, "part_ids", "part_not_found")


def _check_whole(upload: Upload, whole: Assembled, md5: str | None) -> None:
    if whole.bytes != upload.bytes:
        raise Invalid(
            f"The parts have {whole.bytes} bytes together; {upload.bytes} were announced. Name "
            "every part in 'part_ids', or create an upload with the right 'bytes'.",
            "part_ids",
        )
    if md5 is not None and md5.strip().lower() != whole.md5:
        raise Invalid(
            f"The file's MD5 is {whole.md5}, not '{md5[:64]}'. Send the parts again.", "md5"
        )


def _data_file(upload: Upload, file_id: str, whole: Assembled, rows: int, now: int) -> DataFile:
    return DataFile(
        id=file_id,
        project=upload.project,
        filename=upload.filename,
        purpose=upload.purpose,
        bytes=whole.bytes,
        sha256=whole.sha256,
        rows=rows,
        created_at=now,
    )


async def _file_of(services: Services, upload: Upload) -> DataFile | None:
    """Return the file that an upload became; none when it was deleted since."""
    try:
        return await services.store.files.get(upload.file_id or "", project=upload.project)
    except NotFound:
        return None


def _forget(staged: Path) -> None:
    staged.unlink(missing_ok=True)


router = Router(
    "/v1/uploads",
    route_handlers=[create_upload, add_part, complete_upload, cancel_upload],
    guards=[needs(Scope.TRAINING)],
    tags=["Files"],
)
