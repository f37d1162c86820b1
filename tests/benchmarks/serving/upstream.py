"""The compiled mock upstream: built, started, steered and asked for its counts.

It refuses to know who calls it.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.benchmarks.serving.programs import running
from tests.processes import free_ports

_FOLDER = Path(__file__).parent
BASE = "tiny-base"
"""Name of its base model."""
DEFAULT_EVENTS = 32
"""Events of a stream whose request does not say `max_tokens`."""


@dataclass(frozen=True)
class Upstream:
    """A mock that runs."""

    port: int
    """Where it listens, on the loopback address."""

    @property
    def url(self) -> str:
        """Its URL, without a path."""
        return f"http://127.0.0.1:{self.port}"

    def pause_events(self, gap_us: int) -> None:
        """Let it pause between two events of a stream, in microseconds."""
        httpx.post(f"{self.url}/gap/{gap_us}").raise_for_status()

    def counts(self) -> tuple[int, int]:
        """Return how many answers and how many events of streams it gave so far."""
        found = httpx.get(f"{self.url}/stats").json()
        return found["answers"], found["events"]

    def loaded(self) -> int:
        """Return how many adapters it holds."""
        return len(httpx.get(f"{self.url}/v1/models").json()["data"]) - 1


def build(name: str, folder: Path) -> Path:
    """Compile one of the programs that lie here, and return it.

    Raises:
        CalledProcessError: There is no C compiler, or it refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program, source = folder / name, _FOLDER / f"{name}.c"
    subprocess.run(["cc", "-O2", "-Wall", "-o", program, source], check=True)
    return program


@contextmanager
def running_upstream(folder: Path) -> Iterator[Upstream]:
    """Build the mock in a folder and run it for the length of a block."""
    (port,) = free_ports(1)
    options = ["--port", str(port), "--chunks", str(DEFAULT_EVENTS)]
    upstream = Upstream(port)
    command = [str(build("mock_upstream", folder)), *options]
    with running(command, folder / "upstream.log", f"{upstream.url}/health"):
        yield upstream
