"""MLflow: a run on a tracking server, or in a database.

It refuses to know who looks at it. Its library is optional.
"""

import re
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from registry.reporting import LIBRARIES, Target
from trainer.reporting.reporter import RunCard, RunEnd

_JOB = "graftline.job_id"
_LONGEST_PARAM = 500
_STATUS: Mapping[RunEnd, str] = {
    RunEnd.SUCCEEDED: "FINISHED",
    RunEnd.FAILED: "FAILED",
    RunEnd.CANCELLED: "KILLED",
}


class MlflowReporter:
    """Writes a run into the experiment `graftline/<project>`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._library: Any = None
        self._client: Any = None
        self._run_id = ""

    def begin(self, card: RunCard) -> None:
        """Begin the job's run, or go on with it."""
        self._library = import_module(LIBRARIES[Target.MLFLOW])
        self._client = self._library.MlflowClient(tracking_uri=self._url)
        experiment_id = self._experiment(f"graftline/{card.project}")
        found = self._client.search_runs(
            [experiment_id], filter_string=f"tags.`{_JOB}` = '{card.job_id}'", max_results=1
        )
        if found:
            self._run_id = found[0].info.run_id
            self._client.update_run(self._run_id, status="RUNNING")
            return
        tags = {_JOB: card.job_id, "graftline.model": card.model}
        run = self._client.create_run(experiment_id, tags=tags, run_name=card.job_id)
        self._run_id = run.info.run_id
        params = [
            self._library.entities.Param(_named(name), str(value)[:_LONGEST_PARAM])
            for name, value in card.choices.items()
        ]
        self._client.log_batch(self._run_id, params=params)

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Send one step."""
        now = int(time.time() * 1000)
        metrics = [
            self._library.entities.Metric(name, value, now, step) for name, value in figures.items()
        ]
        self._client.log_batch(self._run_id, metrics=metrics)

    def finish(self, end: RunEnd) -> None:
        """End the run."""
        self._client.set_terminated(self._run_id, status=_STATUS[end])

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is None:
            return str(self._client.create_experiment(name))
        return str(found.experiment_id)


def _named(name: str) -> str:
    """Return a name of the letters that MLflow takes."""
    return re.sub(r"[^A-Za-z0-9_./ -]", "_", name)
