"""What the process that writes long batches makes of its input."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import msgspec
import psutil
import pytest

from registry.batch_writer import (
    LENGTH_BYTES,
    Answer,
    Refusal,
    frame,
    give_way,
    serve,
    waited_seconds,
)
from registry.records import Interaction
from registry.settings import Settings
from registry.store import tables
from registry.store.batches import insertion, packed
from registry.store.usage import usage_insertion
from tests.batch_writers import stored_ids, stored_requests
from tests.records import interaction, usage_row


@pytest.fixture
def file(settings: Settings) -> Path:
    """Return an empty database."""
    return settings.data_dir / "graftline.db"


def batch(identifiers: Sequence[str]) -> bytes:
    """Return a batch as the process takes it."""
    rows = [
        packed(interaction(name, model=f"version-{number % 2}", unit_hash=f"{number:032x}"))
        for number, name in enumerate(identifiers)
    ]
    parts = [
        insertion(tables.interactions, Interaction, rows),
        usage_insertion([usage_row()]),
    ]
    return frame(msgspec.msgpack.encode(parts))


def names(count: int) -> list[str]:
    """Return so many ids, in the order in which a service makes them."""
    return [f"chatcmpl-{number:032x}" for number in range(count)]


def answers(source: bytes, file: Path) -> list[Refusal | None]:
    """Return what is answered to messages."""
    sink = BytesIO()
    serve(BytesIO(source), sink, str(file), 1.0)
    sink.seek(0)
    found = []
    while length := sink.read(LENGTH_BYTES):
        answer = sink.read(int.from_bytes(length, "big"))
        found.append(msgspec.msgpack.decode(answer, type=Answer).refusal)
    return found


def test_each_batch_is_answered(file: Path) -> None:
    """A refused one says why, and is not there; the ones around it are."""
    first, refused, last = answers(batch(["a"]) + batch(["b", "a"]) + batch(["c"]), file)
    assert (first, last) == (None, None)
    assert refused is not None
    assert refused.kind == "IntegrityError"
    assert stored_ids(file) == ["a", "c"]
    assert stored_requests(file) == 4


@pytest.mark.parametrize("left", [1, LENGTH_BYTES - 1, LENGTH_BYTES, LENGTH_BYTES + 1, -1])
def test_a_message_that_breaks_off_is_none(file: Path, left: int) -> None:
    """The service died while it wrote it; what came before is stored."""
    assert answers(batch(["a"]) + batch(["b"])[:left], file) == [None]
    assert stored_ids(file) == ["a"]


def test_where_giving_way_is_forbidden_it_writes_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sandbox that refuses the change of priority does not end the process."""

    def refuse(*_arguments: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    give_way()


@pytest.mark.parametrize(
    ("told", "seconds"), [("5 7000000000 3", 7.0), ("0 0 0", 60.0), (None, 60.0)]
)
def test_where_waiting_is_not_counted_all_time_without_computing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, seconds: float
) -> None:
    """A kernel may count it for nobody, and there may be no such file."""
    counts = tmp_path / "schedstat"
    if told is not None:
        counts.write_text(told)
    monkeypatch.setattr("registry.batch_writer._SCHEDSTAT", counts)
    monkeypatch.setattr("registry.batch_writer.time.monotonic", lambda: 100.0)
    monkeypatch.setattr("registry.batch_writer.time.process_time", lambda: 40.0)
    assert waited_seconds() == seconds


def test_it_gives_the_core_away_after_every_few_rows(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a kernel without preemption lets it compute to the next tick, whoever waits."""
    given: list[None] = []
    monkeypatch.setattr(os, "sched_yield", lambda: given.append(None))
    assert answers(batch(names(100)), file) == [None]
    assert len(given) >= 100 // 16
    given.clear()
    monkeypatch.setattr("registry.batch_writer._POLITE_SECONDS", 0.0)  # it had the lock for long
    assert answers(batch(names(200)[100:]), file) == [None]
    assert given == []


def test_what_would_undo_a_statement_is_not_written_down(file: Path) -> None:
    """In a file of its own it is several times as much as the rows."""
    every = names(2000)
    answers(batch(every[:1000]), file)  # from here on a statement changes many pages
    before = psutil.Process().io_counters().write_count
    assert answers(batch(every[1000:]), file) == [None]
    assert psutil.Process().io_counters().write_count - before < 1000 / 2
