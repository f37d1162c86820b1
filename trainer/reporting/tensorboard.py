"""TensorBoard: event files in a folder.

It refuses to know who looks at them. Its library is optional.
"""

import secrets
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from registry.identifiers import slug
from registry.reporting import LIBRARIES, Target
from trainer.reporting.reporter import RunCard, RunEnd


class TensorBoardReporter:
    """Writes a folder for each job: `<directory>/<project>/<job>`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writer: Any = None

    def begin(self, card: RunCard) -> None:
        """Open the job's folder; a run that goes on adds a file to it."""
        library = import_module(LIBRARIES[Target.TENSORBOARD])
        folder = self._directory / slug(card.project) / card.job_id
        self._writer = library.SummaryWriter(
            logdir=str(folder),
            # Without it a run that goes on within the same second writes over the file before.
            filename_suffix=f".{secrets.token_hex(4)}",
        )
        lines = [f"- {name}: {value}" for name, value in card.choices.items()]
        self._writer.add_text("job", "\n".join([f"- model: {card.model}", *lines]))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Write one step."""
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, end: RunEnd) -> None:
        """Close the file."""
        self._writer.add_text("end", end.value)
        self._writer.close()
