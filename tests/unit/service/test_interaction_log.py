"""Interactions on their way to the store."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from registry.errors import Unavailable
from registry.records import UsageRow
from registry.store import Store
from registry.store.batches import first_field
from service.interaction_log import BATCH_ROWS, InteractionLog
from service.kept_text import MAX_TEXT_BYTES, KeptText
from service.metrics import ServiceMetrics
from service.usage import UsageLedger
from tests.records import api_key, interaction


@dataclass
class AwayStore:
    """A store whose database is away for some writes."""

    failures: int
    requests: int = 0
    batches: int = 0
    stored: list[str] = field(default_factory=list)
    written: asyncio.Event = field(default_factory=asyncio.Event)
    meanwhile: Callable[[], None] | None = None

    @property
    def interactions(self) -> "AwayStore":
        """The interactions' repository: itself."""
        return self

    async def is_stored(self, identifier: str) -> bool:
        """Return whether a row arrived."""
        return identifier in self.stored

    async def add_packed(
        self, rows: Sequence[bytes], _texts: Sequence[bytes], usage: Sequence[UsageRow]
    ) -> None:
        """Store, unless away."""
        if self.failures:
            self.failures -= 1
            raise Unavailable("database", "away")
        self.stored += [first_field(row) for row in rows]
        self.batches += 1
        self.requests += sum(row.requests for row in usage)
        self.written.set()
        if self.meanwhile is not None:
            self.meanwhile()


@pytest.fixture
def metrics() -> ServiceMetrics:
    """Return metrics of the test's own."""
    return ServiceMetrics(CollectorRegistry())


def value(metrics: ServiceMetrics, name: str, **labels: Any) -> float | None:
    """Return a metric's value."""
    return metrics.registry.get_sample_value(name, labels)


async def test_a_flush_stores_everything_recorded_so_far(
    store: Store, metrics: ServiceMetrics
) -> None:
    """More than one batch of it."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped))
    for number in range(2450):
        log.record(interaction(f"chatcmpl-{number}"))
    await log.flush()
    assert (await store.interactions.get("chatcmpl-2449", project="default")).status == 200
    assert value(metrics, "graftline_interactions_total") == 2450


async def test_what_waited_is_written_in_few_transactions(metrics: ServiceMetrics) -> None:
    """A busy service has little time for the steps of each; so a backlog shrinks, not grows."""
    store = AwayStore(failures=0)
    log = InteractionLog(cast("Store", store), metrics, UsageLedger(metrics.usage_dropped))
    names = [f"chatcmpl-{number}" for number in range(5 * BATCH_ROWS)]
    for name in names:
        log.record(interaction(name))
    await log.flush()
    assert store.stored == names
    assert store.batches == 1


async def test_usage_goes_with_the_rows(metrics: ServiceMetrics) -> None:
    """What is used while a batch is written waits for the next rows, not for one of its own."""
    ledger, store = UsageLedger(metrics.usage_dropped), AwayStore(failures=0)
    log = InteractionLog(cast("Store", store), metrics, ledger)

    def ask(name: str) -> None:
        log.record(interaction(name))
        ledger.add(api_key(), "tiny-base", 0.0, 1, 1)

    ask("chatcmpl-1")
    store.meanwhile = partial(ask, "chatcmpl-2")
    await log.flush()
    assert (store.batches, store.requests) == (1, 1)
    store.meanwhile = None
    await log.flush()
    assert (store.batches, store.requests) == (2, 2)


async def test_usage_counted_since_a_write_that_failed_is_stored_too(
    metrics: ServiceMetrics,
) -> None:
    """The batch that is written again takes along what it took the first time, and no more."""
    ledger, store = UsageLedger(metrics.usage_dropped), AwayStore(failures=1)
    log = InteractionLog(cast("Store", store), metrics, ledger)

    def ask(name: str) -> None:
        log.record(interaction(name))
        ledger.add(api_key(), "tiny-base", 0.0, 1, 1)

    ask("chatcmpl-1")
    with pytest.raises(Unavailable):
        await log.flush()
    ask("chatcmpl-2")
    store.meanwhile = lambda: log.record(interaction("chatcmpl-3"))
    await log.flush()
    assert store.requests == 2


async def test_usage_without_rows_is_written_alone(metrics: ServiceMetrics) -> None:
    """Not every request leaves a row."""
    ledger, store = UsageLedger(metrics.usage_dropped), AwayStore(failures=0)
    log = InteractionLog(cast("Store", store), metrics, ledger)
    ledger.add(api_key(), "tiny-base", 0.0, 1, 1)
    await log.flush()
    assert (store.batches, store.requests, store.stored) == (1, 1, [])


async def test_a_stop_stores_what_is_left(store: Store, metrics: ServiceMetrics) -> None:
    """The last interactions are not lost."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped))
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(log.run())
        log.record(interaction("chatcmpl-1"))
        await asyncio.sleep(0)
        loop.cancel()
    assert (await store.interactions.get("chatcmpl-1", project="default")).id == "chatcmpl-1"


async def test_beyond_the_bound_interactions_are_dropped_and_counted(
    store: Store, metrics: ServiceMetrics
) -> None:
    """Recording never waits and never grows without end."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped), max_rows=3)
    for number in range(5):
        log.record(interaction(f"chatcmpl-{number}"))
    assert value(metrics, "graftline_interactions_dropped_total") == 2


async def test_a_refused_interaction_does_not_take_others_with_it(
    store: Store, metrics: ServiceMetrics
) -> None:
    """A duplicate among seven: six are stored, one is counted as dropped."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped))
    for identifier in ["a", "b", "c", "a", "d", "e", "f"]:
        log.record(interaction(identifier))
    await log.flush()
    assert value(metrics, "graftline_interactions_total") == 6
    assert value(metrics, "graftline_interactions_dropped_total") == 1


async def test_a_flush_without_a_database_says_so_and_loses_nothing(
    metrics: ServiceMetrics,
) -> None:
    """What could not be written is written by the next flush."""
    away = AwayStore(failures=1)
    log = InteractionLog(cast("Store", away), metrics, UsageLedger(metrics.usage_dropped))
    log.record(interaction("a"))
    with pytest.raises(Unavailable):
        await log.flush()
    await log.flush()
    assert away.stored == ["a"]


async def test_the_loop_outlives_a_database_that_is_away(metrics: ServiceMetrics) -> None:
    """Batches are written by themselves, and tried again by themselves."""
    away = AwayStore(failures=2)
    log = InteractionLog(cast("Store", away), metrics, UsageLedger(metrics.usage_dropped))
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(log.run())
        log.record(interaction("a"))
        async with asyncio.timeout(5):
            await away.written.wait()
        loop.cancel()
    assert away.stored == ["a"]


async def test_a_stop_without_a_database_counts_what_is_lost(metrics: ServiceMetrics) -> None:
    """It stops all the same."""
    log = InteractionLog(
        cast("Store", AwayStore(failures=9)), metrics, UsageLedger(metrics.usage_dropped)
    )
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(log.run())
        log.record(interaction("a"))
        await asyncio.sleep(0)
        loop.cancel()
    assert value(metrics, "graftline_interactions_dropped_total") == 1


async def test_beyond_the_bound_in_bytes_interactions_are_dropped(
    store: Store, metrics: ServiceMetrics
) -> None:
    """And once they are written there is room again."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped), max_bytes=2000)
    for number in range(9):
        log.record(interaction(f"a{number}"))
    dropped = value(metrics, "graftline_interactions_dropped_total") or 0
    assert 0 < dropped < 9
    await log.flush()
    log.record(interaction("b"))
    await log.flush()
    assert (log.was_dropped("a8"), log.was_dropped("b")) == (True, False)
    assert value(metrics, "graftline_interactions_total") == 9 - dropped + 1


async def test_a_text_without_room_is_left_out_and_its_row_stays(
    store: Store, metrics: ServiceMetrics
) -> None:
    """Rows go before texts."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped), max_bytes=10_000)
    log.record(interaction("a"), KeptText(request=b"x" * 6000, answer="y"))
    await log.flush()
    assert value(metrics, "graftline_interactions_total") == 1
    assert value(metrics, "graftline_interaction_texts_dropped_total") == 1


async def test_rows_with_a_text_are_written_in_smaller_transactions(
    metrics: ServiceMetrics,
) -> None:
    """The features of each text are computed while every other request waits."""
    store = AwayStore(failures=0)
    log = InteractionLog(cast("Store", store), metrics, UsageLedger(metrics.usage_dropped))
    text = KeptText(request=b'{"prompt":"x"}', answer="y")
    for number in range(2 * BATCH_ROWS):
        log.record(interaction(f"cmpl-{number}"), text)
    turns = 0
    async with asyncio.TaskGroup() as group:
        flushing = group.create_task(log.flush())
        while not flushing.done():
            await asyncio.sleep(0)
            turns += 1
    assert len(store.stored) == 2 * BATCH_ROWS
    assert store.batches == 2
    assert turns >= 2 * BATCH_ROWS / 20, "requests get a turn after each twenty texts"


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        (b"no json", "y"),
        (b'{"messages":[]}', "y"),
        (b'{"prompt":"x"}', None),
        (b'{"prompt":"x"}', "y" * (MAX_TEXT_BYTES + 1)),
        (b"[" * 100_000, "y"),
    ],
)
async def test_a_text_that_cannot_be_kept_is_counted(
    store: Store, metrics: ServiceMetrics, request_body: bytes, answer: str | None
) -> None:
    """The row is stored without it."""
    log = InteractionLog(store, metrics, UsageLedger(metrics.usage_dropped))
    log.record(interaction("a"), KeptText(request=request_body, answer=answer))
    await log.flush()
    assert await store.projects.text("a", project="default") is None
    assert value(metrics, "graftline_interactions_total") == 1
    assert value(metrics, "graftline_interaction_texts_dropped_total") == 1


async def test_thirty_seconds_of_traffic_wait_for_the_database(metrics: ServiceMetrics) -> None:
    """5,000 requests a second fit the default bounds and are all written afterwards."""
    away = AwayStore(failures=1)
    log = InteractionLog(cast("Store", away), metrics, UsageLedger(metrics.usage_dropped))
    for number in range(150_000):
        log.record(interaction(f"chatcmpl-{number}"))
    with pytest.raises(Unavailable):
        await log.flush()
    await log.flush()
    assert len(away.stored) == 150_000
    assert value(metrics, "graftline_interactions_dropped_total") == 0
