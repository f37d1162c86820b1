"""Uploads in parts and the feed of events in the store, on each database."""

import time
from typing import Any

import pytest

from registry.errors import Conflict, Invalid, NotFound
from registry.lifecycle import JobStatus
from registry.records import DataFile, JobEvent, Purpose, Upload, UploadPart, UploadStatus
from registry.store import Store
from registry.store.event_feed import JobPulse
from tests.records import fine_tuning_job

NOW = int(time.time())


def upload(identifier: str = "upload-1", **changes: Any) -> Upload:
    """Return a pending upload of ten bytes."""
    values: dict[str, Any] = {
        "id": identifier,
        "project": "default",
        "filename": "train.jsonl",
        "purpose": Purpose.FINE_TUNE,
        "bytes": 10,
        "mime_type": "text/jsonl",
        "status": UploadStatus.PENDING,
        "created_at": NOW,
        "expires_at": NOW + 60,
    }
    return Upload(**(values | changes))


def part(number: int, size: int) -> UploadPart:
    """Return a part."""
    return UploadPart(id=f"part-{number}", upload_id="upload-1", bytes=size, created_at=NOW)


def file() -> DataFile:
    """Return the file that the upload becomes."""
    return DataFile(
        id="file-1",
        project="default",
        filename="train.jsonl",
        purpose=Purpose.FINE_TUNE,
        bytes=10,
        sha256="0" * 64,
        rows=1,
        created_at=NOW,
    )


async def test_parts_fit_twice_into_what_was_announced(store: Store) -> None:
    """Each may come again; one beyond that is not recorded."""
    await store.uploads.add(upload(), most_pending=9)
    for number in (1, 2):
        await store.uploads.add_part(part(number, 8), now=NOW)
    with pytest.raises(Invalid):
        await store.uploads.add_part(part(3, 5), now=NOW)
    await store.uploads.add_part(part(4, 4), now=NOW)
    parts = await store.uploads.parts("upload-1")
    assert [each.id for each in parts] == ["part-1", "part-2", "part-4"]


async def test_an_upload_ends_once(store: Store) -> None:
    """The file and the end are one transaction; what comes later changes nothing."""
    await store.uploads.add(upload(), most_pending=9)
    await store.uploads.complete("upload-1", file(), now=NOW)
    found = await store.uploads.get("upload-1", project="default")
    assert (found.status, found.file_id) == (UploadStatus.COMPLETED, "file-1")
    assert (await store.files.get("file-1")).bytes == 10
    with pytest.raises(Conflict):
        await store.uploads.cancel("upload-1", now=NOW)
    with pytest.raises(Conflict):
        await store.uploads.add_part(part(1, 1), now=NOW)
    with pytest.raises(NotFound):
        await store.uploads.get("upload-1", project="other")


async def test_open_uploads_are_those_that_take_parts(store: Store) -> None:
    """Neither expired nor cancelled."""
    await store.uploads.add(upload(), most_pending=9)
    await store.uploads.add(upload("upload-2", expires_at=NOW), most_pending=9)
    await store.uploads.add(upload("upload-3"), most_pending=9)
    await store.uploads.cancel("upload-3", now=NOW)
    assert await store.uploads.open_ids(now=NOW) == {"upload-1"}


async def test_the_feed_tells_events_in_their_order(store: Store) -> None:
    """Behind a place, and of one job alone; the pulse counts them."""
    for job in ("ftjob-1", "ftjob-2"):
        event = JobEvent(id=f"e-{job}", job_id=job, created_at=1, level="info", message="Created.")
        await store.jobs.add(fine_tuning_job(job, metadata={}), event)
    for number in range(3):
        await store.jobs.add_event(
            JobEvent(
                id=f"e-{number}", job_id="ftjob-1", created_at=1, level="info", message=f"{number}"
            )
        )
    place = await store.event_feed.place_of("ftjob-1", "e-0")
    told = await store.event_feed.behind("ftjob-1", place, limit=9)
    assert [each.event.id for each in told] == ["e-1", "e-2"]
    assert await store.event_feed.pulses(["ftjob-1", "ftjob-none"]) == {
        "ftjob-1": JobPulse(status=JobStatus.VALIDATING_FILES, events=4)
    }
    with pytest.raises(NotFound):
        await store.event_feed.place_of("ftjob-2", "e-0")


async def test_jobs_without_metadata_are_found(store: Store) -> None:
    """On each database, which store an empty object each in its own way."""
    for job, metadata in (("ftjob-1", {}), ("ftjob-2", {"team": "support"})):
        event = JobEvent(id=f"e-{job}", job_id=job, created_at=1, level="info", message="Created.")
        await store.jobs.add(fine_tuning_job(job, metadata=metadata), event)
    page = await store.jobs.page(project="default", after=None, limit=9, metadata={})
    assert [job.id for job in page.data] == ["ftjob-1"]


async def test_a_pause_is_told_once(store: Store) -> None:
    """A second one finds the job where it wants it, and tells nothing."""
    event = JobEvent(id="e", job_id="ftjob-1", created_at=1, level="info", message="Created.")
    await store.jobs.add(fine_tuning_job("ftjob-1"), event)
    await store.jobs.move("ftjob-1", JobStatus.QUEUED)
    for number in range(2):
        paused = JobEvent(
            id=f"p-{number}", job_id="ftjob-1", created_at=1, level="info", message="Paused."
        )
        job = await store.jobs.bring(
            "ftjob-1",
            JobStatus.PAUSED,
            already={JobStatus.PAUSED},
            event=paused,
            project="default",
        )
        assert job.status is JobStatus.PAUSED
    assert len((await store.jobs.events("ftjob-1", after=None, limit=9)).data) == 2
