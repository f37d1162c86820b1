"""Long batches on SQLite: a process of their own writes each whole, or nothing of it."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError, IntegrityError

from registry.errors import Unavailable
from registry.records import InteractionText
from registry.settings import Settings
from registry.store import Store, open_store
from registry.store.batches import packed
from registry.store.interactions import MANY_ROWS
from tests.batch_writers import (
    ROWS,
    Reading,
    batches_of,
    gone,
    locked,
    names,
    rows,
    stored_ids,
    stored_requests,
    until,
    writer_of,
)
from tests.postgres import store_on
from tests.processes import still_alive, wait_until
from tests.records import interaction, usage_row

SERVICE = """
import asyncio, sys
from pathlib import Path
from registry.settings import Settings
from registry.store import open_store
from registry.store.interactions import MANY_ROWS
from tests.records import interaction

async def serve():
    store = await open_store(Settings(data_dir=Path(sys.argv[1])))
    await store.interactions.add_many([interaction(f"a{n}") for n in range(MANY_ROWS)])
    print(store._batches.pid, flush=True)
    sys.stdin.read()

asyncio.run(serve())
"""


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Open a store on SQLite: there is no such process beside another database."""
    opened = await open_store(settings)
    yield opened
    await opened.close()


@pytest.fixture(autouse=True)
def _nothing_starves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test on a loaded machine keep the process that it looks at."""
    monkeypatch.setattr("registry.store.batch_process.STARVED_SECONDS", 3600.0)


@pytest.fixture
def file(settings: Settings) -> Path:
    """Return the database's file."""
    return settings.data_dir / "graftline.db"


def text(identifier: str) -> bytes:
    """Return a kept text as a batch takes it."""
    request = {"prompt": 'Grüße, "é" 😀'}
    kept = InteractionText(
        interaction_id=identifier, project="p", request=request, answer="ñ", created_at=1.0
    )
    return packed(kept)


async def is_unavailable(store: Store, identifiers: Sequence[str]) -> bool:
    """Write a batch, and return whether it was told that the database is away."""
    try:
        await store.interactions.add_packed(rows(identifiers), (), [usage_row()])
    except Unavailable:
        return True
    return False


async def write_until_cancelled(
    store: Store, file: Path, seen: list[tuple[bool, list[str]]]
) -> None:
    """Write a batch; cancelled, note whether the process lives then, and what is stored."""
    writer = writer_of(store)
    try:
        await is_unavailable(store, names("b"))
    except asyncio.CancelledError:
        seen.append((bool(still_alive([writer])), stored_ids(file)))
        raise


async def test_rows_texts_and_usage_are_stored_together(store: Store, file: Path) -> None:
    """Every row once and in order, and usage is added to what there was."""
    for prefix in ("a", "b"):
        added = names(prefix)
        texts = [text(name) for name in added[:70]]
        await store.interactions.add_packed(rows(added), texts, [usage_row(), usage_row(model="n")])
    assert writer_of(store).is_running()
    assert stored_ids(file) == names("a") + names("b")
    assert stored_requests(file) == 8
    kept = await store.projects.text("b69", project="p")
    assert kept is not None
    assert kept.request == {"prompt": 'Grüße, "é" 😀'}
    assert await store.projects.text("b70", project="p") is None


async def test_an_interaction_comes_back_as_it_went_in(store: Store) -> None:
    """Every field survives the process."""
    made = [
        interaction(name, features={"messages": 2.0}, mean_logprob=-0.3, model='a "quoted" é')
        for name in names("a")
    ]
    await store.interactions.add_many(made)
    for one in (made[0], made[-1]):
        assert await store.interactions.get(one.id, project="default") == one


@pytest.mark.parametrize(("count", "is_started"), [(MANY_ROWS - 1, False), (MANY_ROWS, True)])
async def test_few_rows_start_no_process(
    store: Store, file: Path, *, count: int, is_started: bool
) -> None:
    """A service with little to do has no use for it."""
    await store.interactions.add_packed(rows(names("a", count)))
    assert (batches_of(store).pid is not None) == is_started
    assert stored_ids(file) == names("a", count)


async def test_there_is_no_process_beside_postgresql(tmp_path: Path) -> None:
    """Its driver and its server work outside of the interpreter."""
    async with store_on("postgresql", tmp_path) as opened:
        await opened.interactions.add_packed(rows(names("a")))
        assert opened._batches is None
        assert await opened.interactions.is_stored(names("a")[-1])


@pytest.mark.parametrize("count", [MANY_ROWS - 1, ROWS])
async def test_a_refused_row_stores_nothing_of_its_batch(
    store: Store, file: Path, count: int
) -> None:
    """It is told as it is without a process, and the process goes on with the next batch."""
    await store.interactions.add_packed(rows(names("first")))
    before = writer_of(store).pid
    added = names("a", count)
    with pytest.raises(IntegrityError, match="UNIQUE"):
        await store.interactions.add_packed(
            rows([*added[:-1], added[0]]), [text("a0")], [usage_row()]
        )
    assert (stored_ids(file), stored_requests(file)) == (names("first"), 0)
    assert await store.projects.text("a0", project="p") is None
    await store.interactions.add_packed(rows(names("b")))
    assert stored_ids(file) == names("first") + names("b")
    assert writer_of(store).pid == before


async def test_a_number_that_sqlite_does_not_take_is_a_refused_row(
    store: Store, file: Path
) -> None:
    """No database is away for it, so nobody tries again for ever."""
    wrong = packed(interaction("x", project="p", prompt_tokens=2**63))
    with pytest.raises(DBAPIError, match="too large"):
        await store.interactions.add_packed([*rows(names("a")), wrong])
    assert stored_ids(file) == []


async def test_a_locked_database_is_away(settings: Settings, file: Path) -> None:
    """After the time that is allowed; once the lock is gone the same batch goes through."""
    store = await open_store(settings, wait_seconds=0.3)
    await store.interactions.add_packed(rows(names("first")))
    with locked(file):
        with pytest.raises(Unavailable, match="locked"):
            await store.interactions.add_packed(rows(names("a")), (), [usage_row()])
        assert (stored_ids(file), stored_requests(file)) == (names("first"), 0)
    await store.interactions.add_packed(rows(names("a")), (), [usage_row()])
    assert stored_ids(file) == names("first") + names("a")
    assert stored_requests(file) == 2
    await store.close()


@pytest.mark.parametrize("is_noticed", [False, True])
async def test_a_process_killed_between_batches_is_replaced(
    store: Store, file: Path, *, is_noticed: bool
) -> None:
    """The next batch goes through or is told as broken off; at the latest the one after does."""
    await store.interactions.add_packed(rows(names("a")))
    killed = writer_of(store)
    killed.kill()
    if is_noticed:
        await gone(killed)
    if await is_unavailable(store, names("b")):
        assert stored_ids(file) == names("a")
        assert not await is_unavailable(store, names("b"))
    assert stored_ids(file) == names("a") + names("b")
    assert stored_requests(file) == 2
    assert writer_of(store).pid != killed.pid


async def test_a_process_killed_in_the_middle_leaves_nothing_of_the_batch(
    store: Store, file: Path
) -> None:
    """It waits for another writer when it dies; the same batch goes through afterwards."""
    await store.interactions.add_packed(rows(names("a")))
    writer = writer_of(store)
    reading = Reading(writer)
    with locked(file):
        async with asyncio.TaskGroup() as group:
            told = group.create_task(is_unavailable(store, names("b")))
            await reading.whole(rows(names("b")))
            writer.kill()
        assert told.result()
        assert not still_alive([writer])
    assert (stored_ids(file), stored_requests(file)) == (names("a"), 0)
    assert not await is_unavailable(store, names("b"))
    assert stored_ids(file) == names("a") + names("b")
    assert stored_requests(file) == 2


@pytest.mark.parametrize(
    ("end_seconds", "is_stored"), [(0.1, False), (60.0, True)], ids=["killed", "in time"]
)
async def test_a_cancellation_goes_on_when_the_process_has_ended(
    store: Store,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    end_seconds: float,
    *,
    is_stored: bool,
) -> None:
    """So what is stored then is final: the whole batch, or nothing of it if it had to be killed."""
    monkeypatch.setattr("registry.store.batch_process._END_SECONDS", end_seconds)
    await store.interactions.add_packed(rows(names("a")))
    writer = writer_of(store)
    reading = Reading(writer)
    seen: list[tuple[bool, list[str]]] = []

    async with asyncio.TaskGroup() as group:
        with locked(file):
            writing = group.create_task(write_until_cancelled(store, file, seen))
            await reading.whole(rows(names("b")))
            writing.cancel()
            if not is_stored:
                await until(writing.done, "the cancellation has gone on")
    assert writing.cancelled()
    wanted = names("a") + names("b") if is_stored else names("a")
    assert seen == [(False, wanted)]
    assert stored_requests(file) == (2 if is_stored else 0)
    await store.interactions.add_packed(rows(names("c")))
    assert stored_ids(file) == wanted + names("c")


@pytest.mark.parametrize("stopping", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_stop_does_not_end_it(
    store: Store, file: Path, stopping: signal.Signals
) -> None:
    """It comes to every process at once, and the service hands over its last rows after it."""
    await store.interactions.add_packed(rows(names("a")))
    before = writer_of(store)
    before.send_signal(stopping)
    await store.interactions.add_packed(rows(names("b")))
    assert writer_of(store) == before
    assert stored_ids(file) == names("a") + names("b")


async def test_it_ends_with_the_store(settings: Settings) -> None:
    """At once: its input ends."""
    store = await open_store(settings)
    await store.interactions.add_packed(rows(names("a")))
    writer = writer_of(store)
    await store.close()
    assert not still_alive([writer])


def test_it_ends_when_its_service_is_killed(settings: Settings, file: Path) -> None:
    """With -9, so that the service can tell it nothing."""
    command = [sys.executable, "-c", SERVICE, str(settings.data_dir)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[3], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        try:
            assert service.stdout is not None
            writer = psutil.Process(int(service.stdout.readline()))
            assert writer.ppid() == service.pid
            assert still_alive([writer]) == [writer]
        finally:
            service.kill()
    wait_until(lambda: not still_alive([writer]), "the process has ended with its service")
    assert stored_ids(file) == names("a", MANY_ROWS)


async def test_it_is_given_no_secret(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a setting nor what stands in the service's own environment."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-1")
    monkeypatch.setenv("SOMETHING_PLAIN", "seen")
    secrets = {"judge_key": SecretStr("hidden-2"), "mlflow_url": SecretStr("http://u:hidden-3@h")}
    store = await open_store(settings.model_copy(update=secrets))
    await store.interactions.add_packed(rows(names("a")))
    environment = writer_of(store).environ()
    assert environment["SOMETHING_PLAIN"] == "seen"
    assert [value for value in environment.values() if "hidden" in value] == []
    await store.close()


async def test_a_second_cancellation_waits_too(store: Store, file: Path) -> None:
    """However often one is cancelled, the process has ended when that is told."""
    await store.interactions.add_packed(rows(names("a")))
    writer = writer_of(store)
    reading = Reading(writer)
    seen: list[tuple[bool, list[str]]] = []

    async with asyncio.TaskGroup() as group:
        with locked(file):
            writing = group.create_task(write_until_cancelled(store, file, seen))
            await reading.whole(rows(names("b")))
            writing.cancel()
            await asyncio.sleep(0)
            writing.cancel()
            await until(writing.done, "the cancellation has gone on")
    assert seen == [(False, names("a"))]
