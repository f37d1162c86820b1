"""Interactions on their way through the process that writes long batches, which may die."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from registry.errors import Unavailable
from registry.settings import Settings
from registry.store import Store, open_store
from registry.store.batches import packed
from registry.store.interactions import MANY_ROWS
from service.interaction_log import InteractionLog
from service.metrics import ServiceMetrics
from service.usage import UsageLedger
from tests.batch_writers import (
    Reading,
    gone,
    locked,
    stored_ids,
    stored_requests,
    until,
    writer_of,
)
from tests.records import api_key, interaction

ROWS = 6 * MANY_ROWS
MOMENTS = 12
TRIES = 3


@dataclass
class Service:
    """A log on a real store, and what was asked so far."""

    store: Store
    file: Path
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the log."""
        self.metrics = ServiceMetrics(CollectorRegistry())
        self.ledger = UsageLedger(self.metrics.usage_dropped)
        self.log = InteractionLog(self.store, self.metrics, self.ledger)

    def ask(self, count: int = ROWS) -> list[bytes]:
        """Record requests and what they used; return them as a batch takes them."""
        asked = [interaction(f"r{len(self.names) + number}") for number in range(count)]
        for one in asked:
            self.log.record(one)
            self.ledger.add(api_key(), one.model, 0.0, 1, 1)
        self.names += [one.id for one in asked]
        return [packed(one) for one in asked]

    async def flush(self) -> None:
        """Flush, again where the database was away, as the log's own loop does."""
        for _ in range(TRIES - 1):
            with suppress(Unavailable):
                await self.log.flush()
                return
        await self.log.flush()

    async def is_unavailable(self) -> bool:
        """Flush once, and return whether it was told that the database is away."""
        try:
            await self.log.flush()
        except Unavailable:
            return True
        return False

    def check(self) -> None:
        """Check that everything asked is stored and counted once."""
        assert stored_ids(self.file) == self.names
        assert stored_requests(self.file) == len(self.names)
        assert self._value("graftline_interactions_total") == len(self.names)
        assert self._value("graftline_interactions_dropped_total") == 0
        assert self.ledger.waiting_requests == 0

    def _value(self, name: str) -> float | None:
        return self.metrics.registry.get_sample_value(name)


@pytest.fixture(autouse=True)
def _nothing_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test on a loaded machine keep the process that it looks at."""
    monkeypatch.setattr("registry.store.batch_process.STARVED_SECONDS", 3600.0)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    """Return a log whose process runs."""
    store = await open_store(settings)
    started = Service(store, settings.data_dir / "graftline.db")
    started.ask()
    await started.log.flush()
    started.check()
    yield started
    await store.close()


async def test_a_process_killed_while_rows_wait_loses_nothing(service: Service) -> None:
    """Nor is anything stored or counted twice."""
    service.ask()
    writer = writer_of(service.store)
    writer.kill()
    await gone(writer)
    service.ask()
    await service.flush()
    service.check()
    assert writer_of(service.store).pid != writer.pid


async def test_a_process_killed_with_a_batch_loses_nothing(service: Service) -> None:
    """It has the rows, but not yet the database's lock; others come until it is tried again."""
    writer = writer_of(service.store)
    with locked(service.file):
        reading = Reading(writer)
        rows = service.ask()
        async with asyncio.TaskGroup() as group:
            told = group.create_task(service.is_unavailable())
            await reading.whole(rows)
            writer.kill()
        assert told.result()
        assert service.ledger.waiting_requests == ROWS
        service.ask(1)
    await service.flush()
    service.check()


async def test_at_whatever_moment_the_process_is_killed_each_row_is_stored_once(
    service: Service,
) -> None:
    """Before it has the batch, while it writes, or after its commit."""
    for moment in range(MOMENTS):
        service.ask()
        writer = writer_of(service.store)
        async with asyncio.TaskGroup() as group:
            flushing = group.create_task(service.flush())
            await asyncio.sleep(moment * 0.001)
            writer.kill()
        assert flushing.done()
        service.check()
        service.ask()
        await service.flush()  # to a process that runs at the next moment
        service.check()


@pytest.fixture(params=[0.1, 60.0], ids=["killed", "in time"])
def end_seconds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """Bound the time that a process has to end what it is at."""
    monkeypatch.setattr("registry.store.batch_process._END_SECONDS", request.param)
    return float(request.param)


async def test_a_stop_in_the_middle_of_a_batch_stores_it_once(
    service: Service, end_seconds: float
) -> None:
    """Whether the process still got through with it or had to be killed."""
    writer = writer_of(service.store)
    reading = Reading(writer)
    async with asyncio.TaskGroup() as group:
        with locked(service.file):
            running = group.create_task(service.log.run())
            await reading.whole(service.ask())
            running.cancel()
            if end_seconds < 1:
                await gone(writer)
        await until(running.done, "the log has stopped")
    service.check()


async def test_a_stop_just_after_the_process_died_loses_nothing(service: Service) -> None:
    """The last batch meets a process that is dead and not missed yet: another one writes it."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(service.log.run())
        await asyncio.sleep(0)
        service.ask()
        await asyncio.sleep(0)
        writer_of(service.store).kill()
        running.cancel()
    service.check()
