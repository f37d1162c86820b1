"""Which targets a job has, and one hand for all of them.

It refuses to know what a target is.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from registry.errors import GraftlineError
from registry.records import FineTuningJob
from registry.reporting import Target, read_integrations, targets_of
from registry.settings import Settings
from registry.store import Store
from trainer.journal import message
from trainer.reporting.mlflow import MlflowReporter
from trainer.reporting.outlet import Outlet
from trainer.reporting.reporter import Reporter, RunCard, RunEnd
from trainer.reporting.tensorboard import TensorBoardReporter
from trainer.reporting.wandb import WandbReporter

_CALLED: Mapping[Target, str] = {
    Target.WANDB: "Weights & Biases",
    Target.MLFLOW: "MLflow",
    Target.TENSORBOARD: "TensorBoard",
}

logger = logging.getLogger(__name__)


class Reports:
    """Hands one run's figures to its targets. No call waits, and none fails."""

    def __init__(self, outlets: Sequence[Outlet]) -> None:
        self._outlets = outlets

    def log(self, figures: Mapping[str, float]) -> None:
        """Pass on the data of a metrics event."""
        step = int(figures["step"])
        shown = {name: value for name, value in figures.items() if name != "step"}
        for outlet in self._outlets:
            outlet.log(step, shown)

    def finish(self, end: str) -> None:
        """Say how the run ended: `succeeded`, `failed` or `cancelled`."""
        for outlet in self._outlets:
            outlet.finish(RunEnd(end))


class Reporting:
    """Opens the reports of jobs."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def open(self, job: FineTuningJob) -> Reports:
        """Begin to show a job's run wherever it should be; needs a running event loop."""
        loop = asyncio.get_running_loop()

        def warn(text: str) -> None:
            # Called from a target's thread; nobody waits for the event to be written.
            telling = self._tell(job.id, text)
            try:
                asyncio.run_coroutine_threadsafe(telling, loop)
            except RuntimeError:  # the trainer has stopped
                telling.close()

        card = card_of(job)
        outlets = [
            Outlet(_CALLED[target], reporter, warn) for target, reporter in self._reporters(job)
        ]
        for outlet in outlets:
            outlet.begin(card)
        return Reports(outlets)

    def _reporters(self, job: FineTuningJob) -> list[tuple[Target, Reporter]]:
        settings = self._settings
        integrations = read_integrations(job.integrations)
        found: list[tuple[Target, Reporter]] = [
            (Target.WANDB, WandbReporter(integration.wandb, settings))
            for integration in integrations
        ]
        for target in targets_of([], settings):
            if target is Target.MLFLOW and settings.mlflow_url is not None:
                url = settings.mlflow_url.get_secret_value()
                found.append((target, MlflowReporter(url)))
            if target is Target.TENSORBOARD and settings.tensorboard_dir is not None:
                found.append((target, TensorBoardReporter(settings.tensorboard_dir)))
        return found

    async def _tell(self, job_id: str, text: str) -> None:
        try:
            await self._store.jobs.add_event(message(job_id, text, level="warn"))
        except GraftlineError as exc:
            logger.warning("job %s is not told: %s (%s)", job_id, text, exc)


def card_of(job: FineTuningJob) -> RunCard:
    """Return what is shown of a job beside its figures."""
    choices = {
        **{f"hyperparameters.{name}": value for name, value in job.hyperparameters.items()},
        **{f"training.{name}": value for name, value in job.training.items()},
        **{f"metadata.{name}": value for name, value in job.metadata.items()},
        "method": job.method.get("type"),
        "seed": job.seed,
        "training_file": job.training_file,
        "validation_file": job.validation_file,
        "suffix": job.suffix,
    }
    return RunCard(
        job_id=job.id,
        project=job.project,
        model=job.model,
        suffix=job.suffix,
        choices={name: value for name, value in choices.items() if value is not None},
    )
