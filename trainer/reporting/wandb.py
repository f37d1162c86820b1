"""Weights & Biases: a run as the request's `integrations` names it.

It refuses to know who looks at it. Its library is optional.
"""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from registry.reporting import LIBRARIES, Target, WandbRun
from registry.settings import Settings
from trainer.reporting.reporter import RunCard, RunEnd

BEGIN_SECONDS = 60.0
"""Longest time until the service must have answered first."""


class WandbReporter:
    """Writes one run; its id is the job's, so that a run that goes on is the same."""

    def __init__(self, wanted: WandbRun, settings: Settings) -> None:
        self._wanted = wanted
        self._settings = settings
        self._run: Any = None

    def begin(self, card: RunCard) -> None:
        """Begin the job's run, or go on with it."""
        library = import_module(LIBRARIES[Target.WANDB])
        wanted, folder = self._wanted, self._settings.data_dir.absolute() / "wandb"
        Path(folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._run = library.init(
            project=wanted.project,
            entity=wanted.entity,
            name=wanted.name or card.job_id,
            tags=wanted.tags,
            id=card.job_id,
            resume="allow",
            dir=str(folder),
            mode=self._settings.wandb_mode,
            config={"model": card.model, **card.choices},
            reinit="create_new",  # several jobs may train at once
            settings=library.Settings(**self._choices()),
        )

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Send one step."""
        self._run.log(dict(figures), step=step)

    def finish(self, end: RunEnd) -> None:
        """End the run."""
        self._run.finish(exit_code=0 if end is RunEnd.SUCCEEDED else 1)

    def _choices(self) -> dict[str, Any]:
        """Return the library's own settings: nothing of this machine is collected."""
        key, url = self._settings.wandb_key, self._settings.wandb_url
        chosen: dict[str, Any] = {
            "init_timeout": BEGIN_SECONDS,
            "silent": True,
            "console": "off",
            "disable_git": True,
            "disable_code": True,
            "x_disable_stats": True,
            "x_disable_meta": True,
        }
        if key is not None:
            chosen["api_key"] = key.get_secret_value()
        if url is not None:
            chosen["base_url"] = url
        return chosen
