"""Reports of a run: passed on in order, behind the run, and never in its way."""

import asyncio
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tensorboardX.proto.event_pb2 import Event

from registry.records import JobEvent
from registry.settings import Settings
from registry.store import Store
from tests.records import fine_tuning_job
from trainer.reporting import Reporting
from trainer.reporting.outlet import MOST_WAITING, PATIENCE_SECONDS, Outlet
from trainer.reporting.reporter import RunCard, RunEnd
from trainer.reporting.reports import card_of

CARD = RunCard(job_id="ftjob-1", project="default", model="tiny", suffix=None, choices={})


class Notebook:
    """A target that writes everything down, and may be slow, stuck or broken."""

    def __init__(self, *, gate: threading.Event | None = None, fails_at: int | None = None) -> None:
        self.lines: list[Any] = []
        self._gate = gate
        self._fails_at = fails_at

    def begin(self, card: RunCard) -> None:
        """Write it down once the gate is open."""
        if self._gate is not None:
            self._gate.wait(30)
        self.lines.append(card.job_id)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Write it down, or fail."""
        if step == self._fails_at:
            raise ConnectionError("http://user:secret@mlflow refused")
        self.lines.append((step, dict(figures)))

    def finish(self, end: RunEnd) -> None:
        """Write it down."""
        self.lines.append(end)


def outlet(
    notebook: Notebook, steady: Callable[[], float] = time.monotonic
) -> tuple[Outlet, list[str]]:
    """Return a target's outlet that has begun, and what it warns of."""
    warnings: list[str] = []
    made = Outlet("MLflow", notebook, warnings.append, steady=steady)
    made.begin(CARD)
    return made, warnings


def test_figures_come_in_order_and_whole() -> None:
    """Those that are handed over before the target is ready included."""
    gate = threading.Event()
    notebook = Notebook(gate=gate)
    made, warnings = outlet(notebook)
    for step in (1, 2, 3):
        made.log(step, {"train_loss": 1 / step})
    made.finish(RunEnd.SUCCEEDED)
    gate.set()
    assert made.join(10)
    steps = [(step, {"train_loss": 1 / step}) for step in (1, 2, 3)]
    assert notebook.lines == ["ftjob-1", *steps, RunEnd.SUCCEEDED]
    assert warnings == []


def test_a_target_that_fails_is_told_of_once_and_left_alone() -> None:
    """In words of our own: the library's may hold an address with a password."""
    made, warnings = outlet(Notebook(fails_at=2))
    for step in (1, 2, 3):
        made.log(step, {})
    made.finish(RunEnd.SUCCEEDED)
    assert made.join(10)
    made.log(4, {})
    (warning,) = warnings
    assert warning.startswith("MLflow is unavailable (ConnectionError; the trainer's log")
    assert "secret" not in warning


def test_a_target_that_hangs_delays_nothing_and_is_told_of_once() -> None:
    """Figures wait for it, up to a bound."""
    gate, now = threading.Event(), [0.0]
    notebook = Notebook(gate=gate)
    made, warnings = outlet(notebook, steady=lambda: now[0])
    began = time.monotonic()
    for step in range(MOST_WAITING + 5):
        made.log(step, {})
    now[0] = PATIENCE_SECONDS + 1
    made.log(MOST_WAITING + 5, {})
    made.log(MOST_WAITING + 6, {})
    made.finish(RunEnd.CANCELLED)
    assert time.monotonic() - began < 5
    assert len(warnings) == 1
    gate.set()
    assert made.join(10)
    assert len(notebook.lines) == MOST_WAITING + 2


def test_a_target_that_never_begins_is_told_of_by_itself() -> None:
    """Also when the run is too short to log anything."""
    gate, told = threading.Event(), threading.Event()
    warnings: list[str] = []

    def warn(text: str) -> None:
        warnings.append(text)
        told.set()

    made = Outlet("MLflow", Notebook(gate=gate), warn, patience_seconds=0.05)
    made.begin(CARD)
    assert told.wait(10)
    gate.set()
    made.finish(RunEnd.SUCCEEDED)
    assert made.join(10)
    assert warnings == ["MLflow has taken nothing for 0.05 s; the job goes on without it."]


def test_a_card_tells_what_was_chosen() -> None:
    """Flat, by names; what was not chosen is left out."""
    job = fine_tuning_job("ftjob-1", metadata={"team": "support"}, training={"lora_dropout": 0.1})
    choices = card_of(job).choices
    assert choices["metadata.team"] == "support"
    assert choices["training.lora_dropout"] == 0.1
    assert choices["hyperparameters.n_epochs"] == "auto"
    assert "validation_file" not in choices


async def test_a_job_without_targets_has_none(settings: Settings, store: Store) -> None:
    """Nothing is begun and nothing is warned of."""
    reports = Reporting(settings, store).open(fine_tuning_job("ftjob-1"))
    reports.log({"step": 1, "train_loss": 0.5})
    reports.finish("succeeded")


async def test_tensorboard_gets_every_figure(settings: Settings, store: Store) -> None:
    """In a folder of the job's own, by step; a run that goes on adds to it."""
    chosen = settings.model_copy(update={"tensorboard_dir": settings.data_dir / "boards"})
    for step in (1, 2):
        reports = Reporting(chosen, store).open(fine_tuning_job("ftjob-1"))
        reports.log({"step": step, "train_loss": 1 / step, "valid_loss": 0.5})
        reports.finish("cancelled" if step == 1 else "succeeded")
        assert all(outlet.join(30) for outlet in reports._outlets)
    folder = settings.data_dir / "boards" / "default" / "ftjob-1"
    found = [scalar for path in sorted(folder.iterdir()) for scalar in scalars(path)]
    wanted = [
        Scalar(1, "train_loss", 1.0),
        Scalar(1, "valid_loss", 0.5),
        Scalar(2, "train_loss", 0.5),
        Scalar(2, "valid_loss", 0.5),
    ]
    assert sorted(found) == wanted


async def test_a_target_that_cannot_be_had_is_an_event_and_no_failure(
    settings: Settings, store: Store
) -> None:
    """One warning; the run goes on."""
    await store.jobs.add(
        fine_tuning_job("ftjob-1"),
        JobEvent(id="e", job_id="ftjob-1", created_at=1, level="info", message="Created."),
    )
    blocked = settings.data_dir / "a file"
    blocked.write_text("")
    chosen = settings.model_copy(update={"tensorboard_dir": blocked})
    reports = Reporting(chosen, store).open(fine_tuning_job("ftjob-1"))
    for step in (1, 2, 3):
        reports.log({"step": step, "train_loss": 0.5})
    reports.finish("succeeded")
    async with asyncio.timeout(30):
        while len(events := (await store.jobs.events("ftjob-1", after=None, limit=9)).data) < 2:  # noqa: ASYNC110 - a thread writes it
            await asyncio.sleep(0.02)
    assert (events[0].level, events[1].message) == ("warn", "Created.")
    assert events[0].message.startswith("TensorBoard is unavailable (")


class Scalar(NamedTuple):
    """One figure in an event file."""

    step: int
    """The step."""
    tag: str
    """Its name."""
    value: float
    """Its value."""


def scalars(path: Path) -> list[Scalar]:
    """Read an event file: records of length, check, content, check."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack_from("<Q", content)
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        found += [
            Scalar(event.step, value.tag, value.simple_value)
            for value in event.summary.value
            if value.HasField("simple_value")
        ]
    return found
