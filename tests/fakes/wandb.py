"""Weights & Biases as the reporter uses it: runs that take figures by step, in memory.

It refuses what the library refuses: a figure of an earlier step, anything after the end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

SETTINGS = {
    "api_key",
    "base_url",
    "console",
    "disable_code",
    "disable_git",
    "init_timeout",
    "silent",
    "x_disable_meta",
    "x_disable_stats",
}
"""Settings of the library that the reporter may name; it refuses unknown ones."""


@dataclass
class Run:
    """A run as one process writes it."""

    id: str
    project: str
    name: str
    tags: Sequence[str]
    config: Mapping[str, Any]
    figures: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    exit_code: int | None = None

    def log(self, figures: dict[str, float], step: int) -> None:
        """Take figures of a step that is not before the last one's."""
        assert self.exit_code is None, "the run is finished"
        assert not self.figures or self.figures[-1][0] <= step, "the library drops these"
        self.figures.append((step, figures))

    def finish(self, exit_code: int) -> None:
        """End."""
        self.exit_code = exit_code


class Library:
    """What stands for the module."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        """Every run that was begun, a part for each process."""

    def Settings(self, **chosen: Any) -> SimpleNamespace:  # noqa: N802 - the library's name
        """Return settings."""
        assert set(chosen) <= SETTINGS, set(chosen) - SETTINGS
        return SimpleNamespace(**chosen)

    def init(self, **fields: Any) -> Run:
        """Begin a run, or a part of one that is known."""
        assert fields["mode"] in {"offline", "online", "disabled"}
        assert fields["resume"] == "allow"
        assert fields["reinit"] == "create_new"
        run = Run(
            id=fields["id"],
            project=fields["project"],
            name=fields["name"],
            tags=fields["tags"] or [],
            config=fields["config"],
        )
        self.runs.append(run)
        return run
