"""Follows a training: measures, keeps epochs, seals checkpoints, reports.

It refuses to know how a step is made, and who reads the reports.
"""

import math
import shutil
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from registry.errors import TrainingFailed
from trainer import checkpoints
from trainer.adapter_trainer import AdapterTrainer
from trainer.language_model import save_adapter
from trainer.preference import REWARDS
from trainer.protocol import Message, Plan, Progress
from trainer.run import Material, Schedule
from trainer.workplace import Workplace

EPOCHS_KEPT = 3
"""Adapters at the end of an epoch that are kept."""
QUICK_VALIDATION_ROWS = 64
"""Held-out rows measured during training; all of them at the end."""
REPORT_SECONDS = 1.0
"""Shortest time between two progress reports."""

Report = Callable[[Message], None]


class Follower(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Measures, keeps epochs, seals checkpoints and reports."""

    def __init__(
        self,
        plan: Plan,
        place: Workplace,
        material: Material,
        schedule: Schedule,
        trainer: AdapterTrainer,
        report: Report,
    ) -> None:
        self._plan = plan
        self._place = place
        self._material = material
        self._schedule = schedule
        self._trainer = trainer
        self._report = report
        self._validation: dict[str, float] = {}
        self._started_at = self._reported_at = time.monotonic()
        self._first_step = 0

    def on_train_begin(self, _args: object, state: Any, _control: object, **_: object) -> None:  # noqa: ANN401 - transformers ships no types
        """Start the clock."""
        self._first_step = state.global_step
        self._started_at = self._reported_at = time.monotonic()

    def on_step_end(self, _args: object, state: Any, _control: object, **_: object) -> None:  # noqa: ANN401 - transformers ships no types
        """Measure held-out rows and keep the epoch's adapter.

        Both happen before a checkpoint of the same step is written: whoever resumes from it finds
        them done.
        """
        step = state.global_step
        ends_epoch = step % self._schedule.steps_per_epoch == 0
        due = ends_epoch or step % self._schedule.validation_steps == 0
        if due and self._material.heldout:
            self._measure_quickly(state)
        if ends_epoch:
            self._keep_epoch(step)

    def on_log(
        self,
        _args: object,
        state: Any,  # noqa: ANN401 - transformers ships no types
        _control: object,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        """Stop a run that diverged; report the others."""
        if "loss" not in logs:
            return
        if not all(math.isfinite(logs.get(name, 0.0)) for name in ("loss", "grad_norm")):
            raise TrainingFailed(
                "diverged",
                f"The loss is not a number at step {state.global_step}. Lower "
                "'learning_rate_multiplier', or look for odd rows in the training file.",
            )
        now = time.monotonic()
        is_last = state.global_step == self._schedule.total_steps
        if self._validation or is_last or now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self._report(self._progress(state.global_step, state.epoch, logs, now))
            self._validation = {}

    def on_save(self, _args: object, state: Any, _control: object, **_: object) -> None:  # noqa: ANN401 - transformers ships no types
        """Seal the checkpoint that was just written."""
        checkpoint = self._place.checkpoints / f"checkpoint-{state.global_step}"
        (checkpoint / "training_args.bin").unlink(missing_ok=True)  # a pickle nobody reads
        checkpoints.seal(checkpoint)

    def measure_all(self) -> dict[str, float]:
        """Return loss and accuracy on every held-out row."""
        material = self._material
        if not material.heldout:
            return {}
        measured = self._trainer.measure(material.heldout)
        return {
            "full_valid_loss": measured.loss,
            f"full_valid_{self._trainer.accuracy_name}": measured.accuracy,
        }

    def _measure_quickly(self, state: Any) -> None:  # noqa: ANN401 - transformers ships no types
        some = self._material.heldout[:QUICK_VALIDATION_ROWS]
        measured = self._trainer.measure(some)
        accuracy = measured.accuracy
        self._validation = {
            "valid_loss": measured.loss,
            f"valid_{self._trainer.accuracy_name}": accuracy,
        }
        line = {"valid_loss": measured.loss, "valid_mean_token_accuracy": accuracy}
        state.log_history.append({"step": state.global_step, **line})

    def _keep_epoch(self, step: int) -> None:
        self._place.epochs.mkdir(exist_ok=True)
        save_adapter(self._trainer.model, self._place.epochs / f"step-{step}", self._plan.base_name)
        oldest = step - EPOCHS_KEPT * self._schedule.steps_per_epoch
        shutil.rmtree(self._place.epochs / f"step-{oldest}", ignore_errors=True)

    def _progress(self, step: int, epoch: float, logs: dict[str, float], now: float) -> Progress:
        elapsed = max(1e-3, now - self._started_at)
        done = max(1, step - self._first_step)
        return Progress(
            step=step,
            total_steps=self._schedule.total_steps,
            seconds_left=elapsed / done * (self._schedule.total_steps - step),
            tokens_per_second=self._trainer.tokens_seen / elapsed,
            tokens=self._trainer.tokens_seen,
            metrics={
                "train_loss": logs["loss"],
                f"train_{self._trainer.accuracy_name}": logs["accuracy"],
                **{f"train_{name}": logs[name] for name in REWARDS if name in logs},
                "learning_rate": logs["learning_rate"],
                "epoch": epoch,
                **self._validation,
            },
        )
