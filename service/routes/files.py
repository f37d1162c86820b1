"""`/v1/files`: data files in, out and away.

It refuses to know what a row means; an upload is stored only when every row is in order.
"""

import time
from typing import Annotated, Any, Literal

from anyio import to_thread
from litestar import Request, Router, delete, get, post
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import File

from registry.errors import Invalid, NotFound, TooLarge
from registry.identifiers import new_id
from registry.records import DataFile, Purpose, Scope
from registry.store.rows import MAX_PAGE
from service import uploads
from service.auth import needs
from service.context import After, Caller, Limit, Parts
from service.description import BYTES, MULTIPART, described, form_schema, may
from service.forms import FilePart, Form, boundary_of
from service.wire.files import FileObject, file_object
from service.wire.lists import Deleted, ListOf

_FORM_BYTES = 1024 * 1024
_UPLOADABLE = (Purpose.FINE_TUNE, Purpose.EVALS)
_FORM = form_schema(
    files={"file": "Rows as JSONL, CSV or Parquet, perhaps packed with gzip."},
    fields={"purpose": Schema(type=OpenAPIType.STRING, enum=list(_UPLOADABLE))},
    required=("file", "purpose"),
)


@post(
    "/",
    request_max_body_size=None,
    status_code=200,
    operation_class=described(body={MULTIPART: _FORM}),
    responses=may(507),
)
async def upload_file(
    request: Request[Any, Any, Any], services: Parts, caller: Caller
) -> FileObject:
    """Upload a file of rows as the form fields `file` and `purpose` (`fine-tune` or `evals`).

    Its format is recognised, and the file stays as it is. Every row is checked first; a file with
    faults is refused with a list of them, and nothing is stored. The answer comes when the file
    is durable.
    """
    limit = services.settings.max_upload_bytes
    if int(request.headers.get("content-length") or 0) > limit + _FORM_BYTES:
        raise TooLarge(limit)
    boundary = boundary_of(request.headers.get("content-type", ""), "file and purpose")
    file_id = new_id("file")
    staged = uploads.staging_path(services.blobs, file_id)
    upload = FilePart(staged, limit_bytes=limit, setting="GRAFTLINE_MAX_UPLOAD_BYTES")
    form = Form({"file": upload})
    try:
        await form.receive(request.stream(), boundary)
        purpose, filename = _purpose(form.fields), _filename(upload)
        _refuse_expiry(form.fields)
        checked = await to_thread.run_sync(uploads.check, staged, filename)
        await to_thread.run_sync(uploads.keep, staged, services.blobs, file_id)
    finally:
        await to_thread.run_sync(form.close)
    file = DataFile(
        id=file_id,
        project=caller.project,
        filename=filename,
        purpose=purpose,
        bytes=upload.bytes,
        sha256=upload.sha256,
        rows=checked.summary.rows,
        created_at=int(time.time()),
    )
    await services.store.files.add(file)
    return file_object(file, uploads.notice(checked))


@get("/")
async def list_files(
    services: Parts,
    caller: Caller,
    purpose: FromQuery[Purpose | None] = None,
    after: After = None,
    limit: Limit = MAX_PAGE,
    order: Annotated[Literal["asc", "desc"], QueryParameter(description="By time.")] = "desc",
) -> ListOf[FileObject]:
    """List the project's files, newest first unless `order=asc`."""
    page = await services.store.files.page(
        project=caller.project,
        purpose=purpose,
        after=after,
        limit=limit,
        ascending=order == "asc",
    )
    return ListOf(data=[file_object(file) for file in page.data], has_more=page.has_more)


@get("/{file_id:str}")
async def get_file(services: Parts, caller: Caller, file_id: FromPath[str]) -> FileObject:
    """Return what is known about a file."""
    return file_object(await services.store.files.get(file_id, project=caller.project))


@get(
    "/{file_id:str}/content",
    media_type=BYTES,
    operation_class=described(answer={BYTES: Schema(type=OpenAPIType.STRING)}),
)
async def get_content(services: Parts, caller: Caller, file_id: FromPath[str]) -> File:
    """Return a file's content, streamed."""
    file = await services.store.files.get(file_id, project=caller.project)
    path = services.blobs.path(file.id)
    if not path.exists():
        raise NotFound("file content", file_id)
    return File(path=path, filename=file.filename, media_type=BYTES)


@delete("/{file_id:str}", status_code=200, responses=may(409))
async def delete_file(services: Parts, caller: Caller, file_id: FromPath[str]) -> Deleted:
    """Delete a file, unless an unfinished job or evaluation needs it."""
    # The record goes first: a crash in between leaves content that nobody can name, never a
    # record without content.
    await services.store.files.delete(file_id, project=caller.project)
    await to_thread.run_sync(services.blobs.delete, file_id)
    await to_thread.run_sync(services.reports.forget, file_id)
    return Deleted(id=file_id, object="file")


def _purpose(fields: dict[str, str]) -> Purpose:
    given = fields.get("purpose")
    if given in _UPLOADABLE:
        return Purpose(given)
    names = " or ".join(f"'{purpose}'" for purpose in _UPLOADABLE)
    what = "is missing" if given is None else f"is '{given[:64]}'"
    raise Invalid(f"'purpose' {what}; use {names}.", "purpose")


def _refuse_expiry(fields: dict[str, str]) -> None:
    if any(name.startswith("expires_after") for name in fields):
        message = "'expires_after' is not supported: a file stays until it is deleted."
        raise Invalid(message, "expires_after")


def _filename(upload: FilePart) -> str:
    if upload.filename is None:
        raise Invalid("The form has no part named 'file'.", "file")
    return upload.filename


router = Router(
    "/v1/files",
    route_handlers=[upload_file, list_files, get_file, get_content, delete_file],
    guards=[needs(Scope.TRAINING)],
    tags=["Files"],
)
