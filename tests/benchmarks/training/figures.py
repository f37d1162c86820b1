"""What a run's steps tell: speed and memory.

It refuses to know how the run was made.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

WARM_UP = 3
"""Steps that are not counted: allocators and caches fill."""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One run."""

    tokens_per_second: float
    """Training tokens, padding excluded, of the steps after the first three."""
    memory_mib: float
    """Largest resident memory of the process."""


def run(command: Sequence[str], log: Path, environment: dict[str, str]) -> Figures:
    """Run a trainer to its end and return its figures.

    Raises:
        RuntimeError: It failed; its last words are kept.
    """
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, env=environment, text=True
        )
        if process.stdout is None:
            raise RuntimeError("no pipe")
        steps = [json.loads(line) for line in process.stdout if line.startswith('{"step"')]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    counted = [step for step in steps if step["step"] >= WARM_UP]
    if process.returncode != 0 or len(counted) <= 1:
        raise RuntimeError(f"{command[2]} failed: {log.read_text()[-2000:]}")
    first, last = counted[0], counted[-1]
    seconds = last["at"] - first["at"]
    return Figures(
        tokens_per_second=(last["tokens"] - first["tokens"]) / seconds,
        memory_mib=usage.ru_maxrss / 1024,
    )


def middle(runs: Sequence[Figures]) -> Figures:
    """Return the median of several runs, figure by figure."""
    return Figures(
        tokens_per_second=median(found.tokens_per_second for found in runs),
        memory_mib=median(found.memory_mib for found in runs),
    )
