"""The training itself, in this process: interrupted, packed, split up, and ended in time."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from registry.chatdata import Row
from registry.planning.memory import Footprint
from registry.settings import Settings, child_environment
from registry.training_options import LoraStart, Technique, TrainingOptions
from tests.integration.runs import NewRun, Run, mixed_rows, new_run, pairs_of
from trainer import footprints
from trainer.footprints import Taken
from trainer.protocol import Notice, Result, decode_outcome
from trainer.stopping import Stopped

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = mixed_rows(22)
HELDOUT = mixed_rows(6, first=50)
STEPS = 24
"""Six steps in each of four epochs, the last of five rows less than full."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Train on one thread: a model this small loses much with two, beside other work."""
    torch.set_num_threads(1)


@pytest.fixture
def run(tmp_path: Path, base: Path) -> NewRun:
    """Return a way to make a run, `packed` or `padded`."""
    return lambda name, layout: new_run(
        tmp_path / name, base, ROWS, HELDOUT, options=TrainingOptions(packing=layout == "packed")
    )


@pytest.mark.parametrize("layout", ["padded", "packed"])
def test_an_interrupted_run_ends_bit_by_bit_alike(run: NewRun, layout: str) -> None:
    """A run that is stopped twice in mid-epoch and goes on has the bytes of one that is not."""
    assert interrupted(run("straight", layout), run("broken", layout))["packing"] is (
        layout == "packed"
    )


@pytest.mark.parametrize("kind", ["dpo", "dora", "qlora", "lora+", "pissa", "full"])
def test_runs_of_every_kind_do_so(tmp_path: Path, base: Path, kind: str) -> None:
    """Pairs, quantised and converted weights, and optimisers of their own."""
    options = {
        "dora": TrainingOptions(technique=Technique.DORA, packing=True),
        "qlora": TrainingOptions(technique=Technique.QLORA),
        "lora+": TrainingOptions(lora_plus_ratio=4.0, lora_dropout=0.1),
        "pissa": TrainingOptions(lora_start=LoraStart.PISSA),
        "full": TrainingOptions(technique=Technique.FULL),
    }.get(kind)
    method = "dpo" if kind == "dpo" else "supervised"
    training, heldout = (
        pairs_of(rows) if kind == "dpo" else rows for rows in (ROWS[:12], HELDOUT[:3])
    )
    straight, broken = (
        new_run(tmp_path / name, base, training, heldout, options=options, method=method)
        for name in ("straight", "broken")
    )
    interrupted(straight, broken, stops=(5,))


def interrupted(
    straight: Run, broken: Run, *, stops: tuple[int, ...] = (6, 12)
) -> Mapping[str, object]:
    """Interrupt one of two runs, check that both end alike, and return the circumstances."""
    whole = straight.train()
    for step in stops:
        with pytest.raises(Stopped):
            broken.train_until(step)
    resumed = broken.train()
    assert any("resumes from step" in text for text in broken.said())
    assert broken.published_sha256(resumed) == straight.published_sha256(whole)
    assert resumed.history == whole.history
    return resumed.settings


def test_layouts_learn_the_same(run: NewRun) -> None:
    """Packed, padded, and a few tokens at a time: the same losses but for rounding."""
    padded, packed, small = run("1", "padded"), run("2", "packed"), run("3", "packed")
    taken = Taken(footprint=Footprint(tokens=64, gradient_checkpointing=True), longest=60)
    footprints.keep(small.place, taken)
    results = [found.train() for found in (padded, packed, small)]
    assert results[2].settings["micro_batch_tokens"] == 64
    for result in results[1:]:
        assert losses(result) == pytest.approx(losses(results[0]), abs=0.02)
        assert result.trained_tokens == results[0].trained_tokens


def test_several_processes_learn_what_one_learns(run: NewRun) -> None:
    """Two processes that share each step's rows have the losses of one that has them all."""
    alone, shared = run("alone", "packed"), run("shared", "packed")
    shared.place.plan.write_bytes(msgspec.json.encode(shared.plan))
    command = [sys.executable, "-m", "trainer.several", str(shared.place.root), str(os.getpid())]
    variables = child_environment(Settings(), {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})
    subprocess.run([*command, "2"], env=variables, check=True, capture_output=True)
    result = decode_outcome(shared.place.outcome.read_bytes())
    assert isinstance(result, Result)
    assert result.settings["processes"] == 2
    assert losses(result) == pytest.approx(losses(alone.train()), abs=0.02)


def test_rows_learned_by_heart_end_a_run_early(tmp_path: Path, base: Path) -> None:
    """The run warns, ends when its patience is over, and its result is the best epoch."""
    training = [Row(line=n, prompt=f"{n}?", completion="yes yes") for n in range(1, 17)]
    heldout = [Row(line=n, prompt=f"{n}?", completion="no 7 never") for n in range(1, 9)]
    options = TrainingOptions(early_stopping_patience=2)
    chosen: dict[str, Any] = {"n_epochs": 20, "learning_rate": 0.05}
    found = new_run(tmp_path / "run", base, training, heldout, options=options, **chosen)
    result = found.train()
    final = result.versions[-1]
    assert result.history[-1].step < 80
    assert final.step < result.history[-1].step
    assert any("ended early" in text for text in found.said())
    assert any(f"(step {final.step})" in text for text in found.said())
    warnings = [m for m in found.messages if isinstance(m, Notice) and m.level == "warn"]
    assert ["rises" in warning.message for warning in warnings] == [True]
    epochs = result.history[-1].step // 4
    assert result.trained_tokens % epochs == 0


def losses(result: Result) -> list[float]:
    """Return the training losses of a run, step by step."""
    found = [row.train_loss for row in result.history]
    assert len(found) == STEPS
    return [loss for loss in found if loss is not None]
