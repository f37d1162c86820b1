"""What MLflow and Weights & Biases get to see of a job: fake and real library, the same claims.

`make trackers` installs the real libraries in a folder of their own, and runs this file on them.
"""

import importlib
import json
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from registry.reporting import WandbRun
from registry.settings import Settings
from tests.fakes import mlflow as fake_mlflow
from tests.fakes import wandb as fake_wandb
from tests.records import fine_tuning_job
from trainer.reporting.mlflow import MlflowReporter
from trainer.reporting.reporter import Reporter, RunEnd
from trainer.reporting.reports import card_of
from trainer.reporting.wandb import WandbReporter

pytestmark = [
    pytest.mark.contract,
    # MLflow's own tables ask SQLAlchemy 2.1 for it; a trainer goes on, and so does this file.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader:sqlalchemy.exc.SADeprecationWarning"),
]

JOB = "ftjob-1"
_HEAD_BYTES = 7  # of the file, and of each part of a record
_BLOCK_BYTES = 32_768
_LAST = frozenset({1, 4})  # a record in one part, and a record's last part
CARD = card_of(
    fine_tuning_job(JOB, suffix="x", metadata={"team": "a b & c"}, training={"lora_dropout": 0.1})
)
Figures = dict[tuple[str, int], float]


@dataclass
class Seen:
    """A run as the target shows it."""

    name: str
    """What it is called."""
    choices: Mapping[str, str]
    """What was chosen, as text."""
    is_success: bool
    """Whether it is shown as one that succeeded."""
    figures: Figures = field(default_factory=dict)
    """Every figure, by name and step."""


@dataclass(frozen=True)
class Tracker:
    """A target with a way to look at it."""

    reporter: Callable[[], Reporter]
    """Makes a reporter to it, as each run of a training child has."""
    look: Callable[[], dict[str, Seen]]
    """Returns its runs, by job."""


@pytest.fixture
def libraries(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Put the libraries where the reporters find them; return whether they are the real ones."""
    folder = pytestconfig.getoption("--trackers")
    if folder is not None:
        # Behind our own: where both have a library, ours is the one that a trainer would use.
        monkeypatch.setattr(sys, "path", [*sys.path, folder])
        return True
    monkeypatch.setitem(sys.modules, "mlflow", fake_mlflow.LIBRARY)
    library: Any = fake_wandb.Library()
    monkeypatch.setitem(sys.modules, "wandb", library)
    return False


@pytest.fixture(params=["mlflow", "wandb"])
def tracker(request: pytest.FixtureRequest, libraries: bool, tmp_path: Path) -> Tracker:  # noqa: FBT001 - a fixture
    """Return a target that nothing was shown to yet."""
    if request.param == "mlflow":
        url = f"sqlite:///{tmp_path / 'mlflow.db'}"
        return Tracker(lambda: MlflowReporter(url), lambda: mlflow_runs(url))
    settings = Settings(data_dir=tmp_path, wandb_mode="offline")
    wanted = WandbRun(project="ours", tags=["tagged"])
    look = (lambda: wandb_files(tmp_path)) if libraries else wandb_fakes
    return Tracker(lambda: WandbReporter(wanted, settings), look)


def show(tracker: Tracker, steps: range, end: RunEnd) -> Figures:
    """Show a run, and return its figures."""
    reporter = tracker.reporter()
    reporter.begin(CARD)
    shown: Figures = {}
    for step in steps:
        figures = {"train_loss": 1 / step, "valid_loss": 2 / step}
        reporter.log(step, figures)
        shown |= {(name, step): value for name, value in figures.items()}
    reporter.finish(end)
    return shown


def test_a_run_has_the_jobs_name_its_choices_and_every_figure(tracker: Tracker) -> None:
    """By the names of the events' data, each at its step."""
    shown = show(tracker, range(1, 4), RunEnd.SUCCEEDED)
    found = tracker.look()[JOB]
    assert found.name == JOB
    assert found.is_success
    assert found.figures == pytest.approx(shown)
    assert found.choices["metadata.team"] == "a b & c"
    assert found.choices["training.lora_dropout"] == "0.1"
    assert found.choices["hyperparameters.n_epochs"] == "auto"


def test_a_job_that_goes_on_goes_on_in_the_same_run(tracker: Tracker) -> None:
    """After a pause or a crash; the figures of both are there."""
    shown = show(tracker, range(1, 3), RunEnd.CANCELLED)
    shown |= show(tracker, range(3, 5), RunEnd.SUCCEEDED)
    assert list(tracker.look()) == [JOB]
    found = tracker.look()[JOB]
    assert found.figures == pytest.approx(shown)
    assert found.is_success


def test_a_job_that_fails_is_shown_as_such(tracker: Tracker) -> None:
    """It is no success."""
    show(tracker, range(1, 2), RunEnd.FAILED)
    assert not tracker.look()[JOB].is_success


def mlflow_runs(url: str) -> dict[str, Seen]:
    """Ask MLflow's client."""
    client = importlib.import_module("mlflow").MlflowClient(tracking_uri=url)
    experiment = client.get_experiment_by_name("graftline/default").experiment_id
    found = {}
    for run in client.search_runs([experiment]):
        seen = Seen(run.info.run_name, run.data.params, run.info.status == "FINISHED")
        for name in run.data.metrics:
            for metric in client.get_metric_history(run.info.run_id, name):
                seen.figures[name, metric.step] = metric.value
        assert run.info.run_name not in found
        found[run.info.run_name] = seen
    return found


def wandb_fakes() -> dict[str, Seen]:
    """Look into the fake's memory."""
    found: dict[str, Seen] = {}
    for part in importlib.import_module("wandb").runs:
        choices = {name: str(value) for name, value in part.config.items()}
        seen = found.setdefault(part.id, Seen(part.name, choices, is_success=False))
        seen.is_success = part.exit_code == 0
        for step, figures in part.figures:
            seen.figures |= {(name, step): value for name, value in figures.items()}
    return found


def wandb_files(folder: Path) -> dict[str, Seen]:
    """Read the files that the real library leaves offline, one for each part of a run."""
    records = importlib.import_module("wandb.proto.wandb_internal_pb2")
    found: dict[str, Seen] = {}
    for path in sorted(folder.rglob("*.wandb"), key=lambda path: path.stat().st_mtime_ns):
        seen = found.setdefault(path.stem.removeprefix("run-"), Seen("", {}, is_success=False))
        for content in wandb_records(path.read_bytes()):
            record = records.Record.FromString(content)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                seen.name = record.run.display_name
                config = {
                    item.key: json.loads(item.value_json) for item in record.run.config.update
                }
                seen.choices = {name: str(value) for name, value in config.items()}
            elif kind == "history":
                line = {
                    (item.key or ".".join(item.nested_key)): json.loads(item.value_json)
                    for item in record.history.item
                }
                step = int(line.get("_step", record.history.step.num))
                named = {name: value for name, value in line.items() if not name.startswith("_")}
                seen.figures |= {(name, step): value for name, value in named.items()}
            elif kind == "exit":
                seen.is_success = record.exit.exit_code == 0
    return found


def wandb_records(content: bytes) -> Iterator[bytes]:
    """Yield the records of such a file: LevelDB's log, behind a head of the library's own.

    Source: https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    place, parts = _HEAD_BYTES, b""
    while place + _HEAD_BYTES <= len(content):
        rest = _BLOCK_BYTES - place % _BLOCK_BYTES
        if rest < _HEAD_BYTES:  # no head fits there: zeros
            place += rest
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        place += _HEAD_BYTES
        parts += content[place : place + length]
        place += length
        if kind in _LAST:
            yield parts
            parts = b""
