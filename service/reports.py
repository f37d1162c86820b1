"""Reports on data files and views of rows: asked of a child process, and kept.

It refuses to know what a report says. Nothing is computed in this process: it answers requests.
"""

import shutil
from hashlib import sha256
from math import ceil
from pathlib import Path

import msgspec
from anyio import to_thread

from registry.blobs import Blobs
from registry.durable import write_file
from registry.errors import Invalid, NotFound, Unavailable
from registry.inspection.records import VERSION, Report, RowView
from registry.inspection.request import Answer, Refused, Request
from registry.records import DataFile, Purpose
from registry.settings import Settings
from service.inspector import Inspector

MAX_WAITING = 16
"""Requests that wait, the one being answered included; more are answered with 503."""
_RETRY_SECONDS = 30


class Reports:
    """Answers about data files, one at a time in each service process."""

    def __init__(self, settings: Settings, blobs: Blobs) -> None:
        self._settings = settings
        self._blobs = blobs
        self._inspector = Inspector(settings)
        self._waiting = 0

    async def report(self, file: DataFile, validation: DataFile | None = None) -> Report:
        """Return the report on a file, kept from before or made now.

        Raises:
            Invalid: The file holds no rows, or its rows are at fault.
            NotFound: Its content is gone.
            Unavailable: Too many wait, or it took too long.
        """
        place = self._place(file, validation)
        kept = await to_thread.run_sync(_read, place)
        if kept is not None:
            return kept
        answer = await self._ask(
            Request(
                path=str(self._content(file)),
                validation_path=None if validation is None else str(self._content(validation)),
                base_model=_absolute(self._settings.base_model),
                max_length=self._settings.max_model_len,
                seconds=ceil(self._settings.report_seconds),
            )
        )
        if answer.report is None:
            raise Unavailable("report", "The report has no content. Ask again.")
        report = answer.report
        # Without a tokenizer it says less than it could: it is made again when one is there.
        if report.tokens is not None and self._blobs.path(file.id).exists():
            await to_thread.run_sync(write_file, place, msgspec.json.encode(report))
        return report

    async def row(self, file: DataFile, line: int) -> RowView:
        """Return a row of a file as it is trained on.

        Raises:
            Invalid: The file holds no rows, or the chat template refuses this one.
            NotFound: No row begins on this line.
            Unavailable: There is no tokenizer here, too many wait, or it took too long.
        """
        answer = await self._ask(
            Request(
                path=str(self._content(file)),
                line=line,
                base_model=_absolute(self._settings.base_model),
                max_length=self._settings.max_model_len,
                seconds=ceil(self._settings.report_seconds),
            )
        )
        if answer.row is None:
            raise Unavailable("row", "The row could not be shown. Ask again.")
        return answer.row

    async def close(self) -> None:
        """End the process that looks at files."""
        await self._inspector.close()

    def sweep(self) -> None:
        """Delete what is kept about files that are gone: a crash may have cut a deletion short."""
        if self._settings.file_reports_dir.exists():
            for folder in self._settings.file_reports_dir.iterdir():
                if not self._blobs.path(folder.name).exists():
                    self.forget(folder.name)

    def forget(self, file_id: str) -> None:
        """Delete what is kept about a file."""
        shutil.rmtree(self._settings.file_reports_dir / file_id, ignore_errors=True)

    async def _ask(self, request: Request) -> Answer:
        if self._waiting >= MAX_WAITING:
            message = f"{MAX_WAITING} requests about data files wait already. Try again later."
            raise Unavailable("report", message, _RETRY_SECONDS)
        self._waiting += 1
        try:
            content = await self._inspector.ask(request)
        except TimeoutError as exc:
            seconds = f"{self._settings.report_seconds:g} s"
            message = (
                f"It took longer than {seconds}. Raise GRAFTLINE_REPORT_SECONDS, or try again."
            )
            raise Unavailable("report", message, _RETRY_SECONDS) from exc
        finally:
            self._waiting -= 1
        return checked(content, request)

    def _content(self, file: DataFile) -> Path:
        if file.purpose is Purpose.FINE_TUNE_RESULTS:
            raise Invalid(f"The file '{file.id}' is a job's result and holds no rows.", "file_id")
        path = self._blobs.path(file.id)
        if not path.exists():
            raise NotFound("file content", file.id)
        return path

    def _place(self, file: DataFile, validation: DataFile | None) -> Path:
        """Return where the report is kept: another base, length or validation is another report."""
        other = validation.sha256 if validation else ""
        base = f"{_absolute(self._settings.base_model)}:{self._settings.max_model_len}"
        key = sha256(f"{VERSION}:{file.sha256}:{other}:{base}".encode()).hexdigest()[:32]
        return self._settings.file_reports_dir / file.id / f"{key}.json"


def _read(place: Path) -> Report | None:
    try:
        return msgspec.json.decode(place.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError):
        return None  # not kept, or by another version


def checked(content: bytes, request: Request) -> Answer:
    """Return a child's answer.

    Raises:
        Invalid: Rows or the template are at fault.
        NotFound: There is no such row.
        Unavailable: The tokenizer is not here, or the answer was cut off.
    """
    try:
        reply = msgspec.json.decode(content, type=Answer | Refused)
    except msgspec.MsgspecError as exc:
        raise Unavailable("report", "The answer about the file was cut off. Ask again.") from exc
    if isinstance(reply, Answer):
        return reply
    if reply.kind == "absent":
        raise NotFound("row", f"line {request.line} of {Path(request.path).name}")
    if reply.kind == "unavailable":
        raise Unavailable("tokenizer", reply.message, _RETRY_SECONDS)
    raise Invalid(reply.message, "file_id", "invalid_file")


def _absolute(base_model: str) -> str:
    folder = Path(base_model)
    return str(folder.absolute()) if folder.exists() else base_model
