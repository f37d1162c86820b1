"""`/v1/files/{id}/report` and `…/rows/{line}`: what is right and wrong with a file."""

import asyncio
import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from registry.chatdata import Row
from registry.errors import Unavailable
from registry.inspection.examine import examine
from registry.inspection.records import Report
from registry.records import DataFile, Purpose, Scope
from registry.settings import Settings
from registry.store import open_store
from service.asgi import running
from tests.service_api import Connect, rows, upload, uploaded

CSV = b"question,answer\n" + b"".join(
    f"What is {number} and one?,It is {number + 1}.\n".encode() for number in range(12)
)


def reports(settings: Settings, file_id: str) -> list[Path]:
    """Return the reports that are kept about a file."""
    return list((settings.file_reports_dir / file_id).glob("*.json"))


def looking() -> list[psutil.Process]:
    """Return the processes that look at files."""
    mine = psutil.Process().children()
    return [child for child in mine if "registry.inspection" in child.cmdline()]


async def get(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Return a good answer."""
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_report_is_made_once_and_kept(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """Report, page and row agree; the report goes with its file."""
    training = (await upload(client, CSV, filename="sums.csv")).json()["id"]
    heldout = (await upload(client, CSV, filename="exam.csv", purpose="evals")).json()["id"]
    report = await get(client, f"/v1/files/{training}/report?validation_file={heldout}")
    assert (report["rows"], report["format"]) == (12, "question-answer rows in CSV")
    assert report["leakage"]["exact"]["count"] == 12
    assert "leakage" in {finding["kind"] for finding in report["findings"]}
    (kept,) = reports(settings, training)
    written = kept.stat().st_mtime_ns
    page = await client.get(f"/v1/files/{training}/report.html?validation_file={heldout}")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert f"Data report: {training}" in page.text
    assert kept.stat().st_mtime_ns == written
    await client.delete(f"/v1/files/{training}")
    assert reports(settings, training) == []


async def test_a_report_whose_process_is_killed_can_be_asked_for_again(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """The answer is 503, nothing half is kept, and the next question is answered."""
    file_id = await uploaded(client)
    path = f"/v1/files/{file_id}/report"
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.get(path))
        async with asyncio.timeout(30):
            while not (found := looking()):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        found[0].kill()
    answer = asking.result()
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
    assert list(settings.file_reports_dir.rglob("*.*")) == []
    assert (await get(client, path))["rows"] == 12
    assert len(reports(settings, file_id)) == 1


async def test_reports_of_files_that_are_gone_are_swept(settings: Settings) -> None:
    """A deletion that a crash cut short is finished at the next start."""
    orphan = settings.file_reports_dir / "file-gone" / "report.json"
    orphan.parent.mkdir(parents=True)
    orphan.write_text("{}")
    async with running(settings):
        assert not orphan.parent.exists()


async def test_a_row_is_shown_as_the_model_reads_it(client: httpx.AsyncClient) -> None:
    """Template, tokens and loss are those of training; a line without a row is not found."""
    file_id = (await upload(client, CSV, filename="sums.csv")).json()["id"]
    row = await get(client, f"/v1/files/{file_id}/rows/3")
    assert row["row"]["messages"][1]["content"] == "It is 2."
    assert row["text"].startswith("<|im_start|>user\nWhat is 1 and one?<|im_end|>")
    assert [span["text"] for span in row["spans"] if span["carries_loss"]] == ["It is 2.<|im_end|>"]
    assert len(row["template_sha256"]) == 64
    assert (await client.get(f"/v1/files/{file_id}/rows/99")).status_code == 404


async def test_a_file_without_rows_has_no_report(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    """A job's result is no training data, and the answer says so."""
    store = await open_store(settings)
    content = b"step,train_loss\n"
    file = DataFile(
        id="file-" + "ab" * 12,
        project="default",
        filename="step_metrics.csv",
        purpose=Purpose.FINE_TUNE_RESULTS,
        bytes=len(content),
        sha256=sha256(content).hexdigest(),
        rows=0,
        created_at=int(time.time()),
    )
    await store.files.add(file)
    await store.close()
    answer = await client.get(f"/v1/files/{file.id}/report")
    assert answer.status_code == 400
    assert "holds no rows" in answer.json()["error"]["message"]


async def test_another_projects_file_does_not_exist(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """Neither side of a report can be another project's, nor can a row."""
    file_id = await uploaded(client)
    async with await connect(Scope.TRAINING, project="other") as stranger:
        own = (await upload(stranger, rows(10))).json()["id"]
        for path in ("report", "report.html", "rows/1"):
            assert (await stranger.get(f"/v1/files/{file_id}/{path}")).status_code == 404
        query = f"/v1/files/{own}/report?validation_file={file_id}"
        assert (await stranger.get(query)).status_code == 404


async def test_a_report_that_takes_too_long_is_given_up(settings: Settings) -> None:
    """The answer is 503 with the setting's name, and no process stays behind."""
    hasty = settings.model_copy(update={"report_seconds": 0.05})
    async with running(hasty) as services:
        content = rows()
        services.blobs.write("file-1", content)
        file = DataFile(
            id="file-1",
            project="default",
            filename="a.jsonl",
            purpose=Purpose.FINE_TUNE,
            bytes=len(content),
            sha256=sha256(content).hexdigest(),
            rows=12,
            created_at=1,
        )
        with pytest.raises(Unavailable, match="GRAFTLINE_REPORT_SECONDS"):
            await services.reports.report(file)


async def test_an_upload_says_what_it_was_read_as(client: httpx.AsyncClient) -> None:
    """The bytes come back as they were, and the answer tells the format."""
    answer = (await upload(client, CSV, filename="sums.csv")).json()
    assert answer["rows"] == 12
    assert "read as question-answer rows in CSV" in answer["status_details"]
    assert (await client.get(f"/v1/files/{answer['id']}/content")).content == CSV


def test_a_kept_report_can_be_read_again() -> None:
    """What is stored is what was found: JSON and back."""
    report = examine([Row(line=1, prompt="a", completion="b")])
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
    assert json.loads(msgspec.json.encode(report))["object"] == "file.report"
