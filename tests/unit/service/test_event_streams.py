"""Streams of a job's events: all of them, in order, as they come, until the job ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from sqlalchemy import Update, update

from registry.errors import NotFound, Unavailable
from registry.lifecycle import JobStatus
from registry.records import JobEvent, Scope
from registry.store import Store, open_store, tables
from service.following import Following
from tests.records import fine_tuning_job
from tests.service_api import Connect, new_job
from tests.serving import Serving, serving

PATH = "/v1/fine_tuning/jobs"
JOB = "ftjob-1"
PATIENCE_SECONDS = 30.0


def event(number: int, job: str = JOB) -> JobEvent:
    """Return an event."""
    name = f"ftevent-{job}-{number}"
    return JobEvent(id=name, job_id=job, created_at=number, level="info", message=f"Step {number}")


async def started(store: Store, events: int = 1) -> None:
    """Store a job that runs, with some events."""
    await store.jobs.add(fine_tuning_job(JOB), event(0))
    for number in range(1, events):
        await store.jobs.add_event(event(number))
    for state in (JobStatus.QUEUED, JobStatus.RUNNING):
        await store.jobs.move(JOB, state)


def following(store: Store, **changes: Any) -> Following:
    """Return the streams of a service process."""
    values: dict[str, Any] = {"most": 2, "stream_seconds": 60.0}
    return Following(store, **(values | changes))


def told(pieces: list[bytes]) -> list[str]:
    """Return what a stream told: the events' messages, and the words of other lines."""
    found = []
    for piece in pieces:
        data = piece.decode().partition("data: ")[2].strip()
        if data.startswith("{"):
            found.append(json.loads(data)["message"])
        else:
            found.append(data or piece.decode().strip())
    return found


def _moved(seq: int, job_id: str) -> Update:
    """Return a statement that gives an event to another job."""
    table = tables.job_events
    return update(table).where(table.c.seq == seq).values(job_id=job_id)


async def pieces_of(stream: AsyncIterator[bytes]) -> list[bytes]:
    """Return a stream's pieces up to its end."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        return [piece async for piece in stream]


async def test_an_ended_job_tells_all_and_ends(store: Store) -> None:
    """The oldest first, more than fit on one page, and then the last line."""
    await started(store, events=250)
    await store.jobs.move(JOB, JobStatus.FAILED)
    pieces = await pieces_of(await following(store).begin(JOB, after=None))
    steps = [f"Step {number}" for number in range(250)]
    assert told(pieces) == [": heartbeat", *steps, "[DONE]"]


async def test_a_stream_goes_on_where_it_was_cut(store: Store) -> None:
    """Behind the event that the client saw last."""
    await started(store, events=3)
    await store.jobs.move(JOB, JobStatus.FAILED)
    stream = await following(store).begin(JOB, after=event(1).id)
    assert told(await pieces_of(stream)) == [": heartbeat", "Step 2", "[DONE]"]
    with pytest.raises(NotFound):
        await following(store).begin(JOB, after="ftevent-none")


async def test_what_another_process_writes_is_told(store: Store, settings: Any) -> None:
    """The store is looked at; nobody has to tell this process."""
    await started(store)
    streams = following(store)
    stream = await streams.begin(JOB, after=None)
    assert told([await anext(stream), await anext(stream)]) == [": heartbeat", "Step 0"]
    other = await open_store(settings)
    waiting = asyncio.ensure_future(anext(stream))
    try:
        await other.jobs.add_event(event(1))
        while not waiting.done():
            await streams.look()
            await asyncio.sleep(0.01)
        assert told([waiting.result()]) == ["Step 1"]
        await other.jobs.move(JOB, JobStatus.CANCELLED, event=event(2))
        await streams.look()
        assert told(await pieces_of(stream)) == ["Step 2", "[DONE]"]
    finally:
        await other.close()


async def test_an_event_that_shows_up_late_is_told(store: Store) -> None:
    """PostgreSQL may show a lower place after a higher one; each event is told once."""
    await started(store)
    for number in (1, 2):
        await store.jobs.add_event(event(number))
    streams = following(store)
    stream = await streams.begin(JOB, after=None)
    async with store.database.write() as connection:  # as if it were not committed yet
        await connection.execute(_moved(2, "x"))
    first = [await anext(stream) for _ in range(3)]
    async with store.database.write() as connection:
        await connection.execute(_moved(2, JOB))
    await store.jobs.move(JOB, JobStatus.CANCELLED)
    waiting = asyncio.ensure_future(pieces_of(stream))
    while not waiting.done():
        await streams.look()
        await asyncio.sleep(0.01)
    assert told(first + waiting.result()) == [
        ": heartbeat",
        "Step 0",
        "Step 2",
        "Step 1",
        "[DONE]",
    ]


async def test_a_stream_has_an_end(store: Store) -> None:
    """Without the last line: the client asks again."""
    await started(store)
    stream = await following(store, stream_seconds=0.05).begin(JOB, after=None)
    assert told(await pieces_of(stream))[-1] != "[DONE]"


async def test_so_many_streams_are_sent(store: Store) -> None:
    """One more is refused until one is over, however it ends."""
    await started(store)
    streams = following(store)
    opened = [await streams.begin(JOB, after=None) for _ in range(2)]
    for stream in opened:
        await anext(stream)
    with pytest.raises(Unavailable):
        await streams.begin(JOB, after=None)
    await opened[0].aclose()  # type: ignore[attr-defined]  # a generator
    assert streams.streams == 1
    await anext(await streams.begin(JOB, after=None))


async def test_strangers_follow_nothing(client: httpx.AsyncClient, connect: Connect) -> None:
    """Another project's job is not found."""
    job = await new_job(client)
    async with await connect(Scope.TRAINING, project="other") as stranger:
        answer = await stranger.get(f"{PATH}/{job['id']}/events", params={"stream": True})
    assert answer.status_code == 404


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - the service wakes no test
            await asyncio.sleep(0.02)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service on a real socket."""
    async with serving(tmp_path) as running:
        yield running


async def test_a_client_that_leaves_is_noticed(served: Serving) -> None:
    """Its stream ends, and its place is free."""
    store = served.services.store
    await started(store)
    path = f"{PATH}/{JOB}/events?stream=true"
    async with served.client.get(path) as answer:
        assert answer.content_type == "text/event-stream"
        assert b"heartbeat" in await answer.content.readline()
        assert served.services.following.streams == 1
    await until(lambda: not served.services.following.streams)


async def test_the_header_of_an_event_source_is_heeded(served: Serving) -> None:
    """A browser asks again with `Last-Event-ID`; new events come by themselves."""
    await started(served.services.store, events=2)
    lines: list[str] = []

    async def follow() -> None:
        headers = {"Last-Event-ID": event(0).id}
        path = f"{PATH}/{JOB}/events?stream=true"
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS)
        async with served.client.get(path, headers=headers, timeout=timeout) as answer:
            lines.extend([line.decode().strip() async for line in answer.content])

    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        await until(lambda: bool(served.services.following.streams))
        await served.services.store.jobs.move(JOB, JobStatus.CANCELLED, event=event(2))
    ids = [line for line in lines if line.startswith("id: ")]
    assert ids == [f"id: {event(1).id}", f"id: {event(2).id}"]
    assert "data: [DONE]" in lines
