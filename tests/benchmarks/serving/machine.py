"""Where and with what a run was made: processor, cores, versions, date.

It refuses to know the figures.
"""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_OURS = ("litestar", "uvicorn", "uvloop", "aiohttp", "msgspec")
_PEERS = ("litellm", "vllm-router")


def today() -> str:
    """Return the date, in UTC."""
    return datetime.now(UTC).date().isoformat()


def describe(peers: Path | None = None) -> list[str]:
    """Return a line for the machine and one for the versions."""
    cores = len(os.sched_getaffinity(0))
    machine = f"{cores} cores of {_processor()}, {platform.system()} {platform.machine()}"
    versions = [f"Python {platform.python_version()}", f"wrk {_wrk()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in _OURS]
    versions += [] if peers is None else _versions_in(peers)
    return [f"Machine: {machine}.", f"Versions: {', '.join(versions)}."]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "an unknown processor"


def _wrk() -> str:
    said = subprocess.run(["wrk", "--version"], capture_output=True, text=True, check=False)
    return said.stdout.split(" ")[1] if said.stdout.startswith("wrk ") else "of unknown version"


def _versions_in(environment: Path) -> Iterator[str]:
    paths = [str(path) for path in environment.glob("lib/*/site-packages")]
    for name in _PEERS:
        for found in importlib.metadata.distributions(name=name, path=paths):
            yield f"{name} {found.version}"
