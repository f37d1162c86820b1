"""Follows a training: measures, keeps epochs, seals checkpoints, reports, and ends it in time.

It refuses to know how a step is made, and who reads the reports.
"""

import math
import shutil
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback

from registry.errors import TrainingFailed
from trainer import best, checkpoints, judgement
from trainer.adapter_trainer import AdapterTrainer
from trainer.judgement import Epoch, epochs_of
from trainer.language_model import save_adapter
from trainer.preference import REWARDS
from trainer.protocol import Message, Notice, Plan, Progress
from trainer.run import Material, Schedule
from trainer.stopping import Stopping
from trainer.workplace import Workplace

EPOCHS_KEPT = 3
"""Adapters at the end of an epoch that are kept."""
QUICK_VALIDATION_ROWS = 64
"""Held-out rows measured within an epoch; all of them at the run's end."""
EPOCH_VALIDATION_ROWS = 500
"""Held-out rows measured at an epoch's end, by which epochs are compared."""
REPORT_SECONDS = 1.0
"""Shortest time between two progress reports."""

Report = Callable[[Message], None]


class Exhausted(Exception):
    """The run had ended before it was resumed: its patience was over at its newest checkpoint."""


class Follower(TrainerCallback):  # type: ignore[misc]  # transformers ships no types
    """Measures, keeps epochs, seals checkpoints, reports and stops."""

    def __init__(
        self,
        *,
        plan: Plan,
        place: Workplace,
        material: Material,
        schedule: Schedule,
        trainer: AdapterTrainer,
        report: Report,
        stopping: Stopping,
    ) -> None:
        self._plan = plan
        self._place = place
        self._material = material
        self._schedule = schedule
        self._trainer = trainer
        self._report = report
        self._stopping = stopping
        self._validation: dict[str, float] = {}
        self._started_at = self._reported_at = time.monotonic()
        self._first_step = 0
        # Of several processes all measure, so that all decide alike; one writes.
        self._writes = trainer.is_world_process_zero()

    def on_train_begin(self, _args: object, state: Any, _control: object, **_: object) -> None:  # noqa: ANN401 - transformers ships no types
        """Start the clock."""
        self._first_step = state.global_step
        self._started_at = self._reported_at = time.monotonic()
        if self._is_exhausted(state):
            raise Exhausted

    def on_step_end(self, _args: object, state: Any, control: Any, **_: object) -> None:  # noqa: ANN401 - transformers ships no types
        """Measure held-out rows, keep the epoch's adapter, and end the run if it is time.

        All of it before a checkpoint of the same step is written: whoever resumes from it finds
        it done.
        """
        step = state.global_step
        ends_epoch = step % self._schedule.steps_per_epoch == 0
        due = ends_epoch or step % self._schedule.validation_steps == 0
        if due and self._material.heldout:
            self._measure(state, EPOCH_VALIDATION_ROWS if ends_epoch else QUICK_VALIDATION_ROWS)
        if ends_epoch:
            self._keep_epoch(state)
        if ends_epoch and self._is_exhausted(state):
            control.should_log = control.should_training_stop = True
        if self._stopping.is_asked:
            control.should_log = control.should_save = control.should_training_stop = True

    def on_log(
        self,
        _args: object,
        state: Any,  # noqa: ANN401 - transformers ships no types
        control: Any,  # noqa: ANN401 - transformers ships no types
        logs: dict[str, float],
        **_: object,
    ) -> None:
        """Stop a run that diverged; report the others."""
        if "loss" not in logs:
            return
        self._refuse_divergence(state, logs)
        now = time.monotonic()
        is_last = control.should_training_stop or state.global_step == self._schedule.total_steps
        if self._validation or is_last or now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self._report(self._progress(state.global_step, state.epoch, logs, now))
            self._validation = {}

    def on_save(self, _args: object, state: Any, _control: object, **_: object) -> None:  # noqa: ANN401 - transformers ships no types
        """Seal the checkpoint that was just written, once every process has written its part."""
        self._trainer.accelerator.wait_for_everyone()
        if not self._writes:
            return
        checkpoint = self._place.checkpoints / f"checkpoint-{state.global_step}"
        (checkpoint / "training_args.bin").unlink(missing_ok=True)  # a pickle nobody reads
        checkpoints.seal(checkpoint)

    def settle(self) -> int:
        """Return the step whose weights are the job's result; the model has them then."""
        state = self._trainer.state
        epochs = self._epochs(state)
        lowest = judgement.best(epochs)
        if state.global_step < self._schedule.total_steps:
            self._say(
                f"Training ended early after {len(epochs)} of "
                f"{self._plan.hyperparameters.n_epochs} epochs: the validation loss fell no lower "
                f"for {self._plan.options.early_stopping_patience} epochs."
            )
        if lowest is None or not self._plan.options.keep_best:
            return int(state.global_step)
        if lowest.step != state.global_step:
            best.restore(self._trainer.model, self._place.best, lowest.step)
        self._say(
            f"The published version is epoch {epochs.index(lowest) + 1} of {len(epochs)} (step "
            f"{lowest.step}): its validation loss of {lowest.valid_loss:.4f} is the lowest."
        )
        return lowest.step

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

    def _measure(self, state: Any, rows: int) -> None:  # noqa: ANN401 - transformers ships no types
        measured = self._trainer.measure(self._material.heldout[:rows])
        accuracy = measured.accuracy
        self._validation = {
            "valid_loss": measured.loss,
            f"valid_{self._trainer.accuracy_name}": accuracy,
        }
        line = {"valid_loss": measured.loss, "valid_mean_token_accuracy": accuracy}
        state.log_history.append({"step": state.global_step, **line})

    def _keep_epoch(self, state: Any) -> None:  # noqa: ANN401 - transformers ships no types
        step = state.global_step
        if not self._writes:
            return
        self._place.epochs.mkdir(exist_ok=True)
        save_adapter(self._trainer.model, self._place.epochs / f"step-{step}", self._plan.base_name)
        oldest = step - EPOCHS_KEPT * self._schedule.steps_per_epoch
        shutil.rmtree(self._place.epochs / f"step-{oldest}", ignore_errors=True)
        epochs = self._epochs(state)
        lowest = judgement.best(epochs)
        if lowest is not None and lowest.step == step and self._plan.options.keep_best:
            best.save(self._trainer.model, self._place.best, step)
        if judgement.begins_to_overfit(epochs):
            self._warn_of_overfitting(epochs)

    def _warn_of_overfitting(self, epochs: list[Epoch]) -> None:
        first = epochs[-1 - judgement.RISING_EPOCHS]
        self._say(
            f"The validation loss rises ({first.valid_loss:.4f} after epoch "
            f"{len(epochs) - judgement.RISING_EPOCHS}, {epochs[-1].valid_loss:.4f} after epoch "
            f"{len(epochs)}) while the training loss falls: the model learns the training rows by "
            "heart. Fewer epochs, a lower learning rate or more rows help; "
            "'early_stopping_patience' ends a run in time.",
            level="warn",
        )

    def _refuse_divergence(self, state: Any, logs: dict[str, float]) -> None:  # noqa: ANN401 - transformers ships no types
        remedy = "Lower 'learning_rate_multiplier', or look for odd rows in the training file."
        if not all(math.isfinite(logs.get(name, 0.0)) for name in ("loss", "grad_norm")):
            what = f"The loss is not a number at step {state.global_step}."
            raise TrainingFailed("diverged", f"{what} {remedy}")
        if judgement.has_diverged(state.log_history):
            what = (
                f"The loss rose to {logs['loss']:.2f} by step {state.global_step} and stays there."
            )
            raise TrainingFailed("diverged", f"{what} {remedy}")

    def _is_exhausted(self, state: Any) -> bool:  # noqa: ANN401 - transformers ships no types
        patience = self._plan.options.early_stopping_patience
        ends_epoch = state.global_step % self._schedule.steps_per_epoch == 0
        return ends_epoch and judgement.is_exhausted(self._epochs(state), patience)

    def _epochs(self, state: Any) -> list[Epoch]:  # noqa: ANN401 - transformers ships no types
        return epochs_of(state.log_history, self._schedule.steps_per_epoch)

    def _say(self, text: str, *, level: str = "info") -> None:
        self._report(Notice(level=level, message=text))

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
