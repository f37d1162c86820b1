"""The local stack, started for one run and stopped after it.

It refuses to know what the run does with it.
"""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console

from registry.settings import Settings, child_environment

_STOP_SECONDS = 60
_OK = 200


@dataclass(frozen=True, kw_only=True)
class RunningStack:
    """A stack whose service answers; vLLM may still be loading."""

    url: str
    """Address of the service."""
    key: str
    """The admin key."""
    base: str
    """Name of the base model."""
    status_file: Path
    """The file in which `graftline up` reports the processes, once all of them answer."""
    process: subprocess.Popen[bytes]
    """`graftline up`."""

    def await_ready(self) -> None:
        """Return once every part answers.

        Raises:
            SystemExit: The stack ended before; what it printed is on the terminal.
        """
        _await(self.process, self.status_file.exists)

    def engine_pid(self) -> int:
        """Return vLLM's process id now."""
        return _engine_pid(json.loads(self.status_file.read_text()))


@contextmanager
def running_stack(console: Console, data_dir: Path) -> Iterator[RunningStack]:
    """Start `graftline up` on free ports, wait until the service answers, and stop it afterwards.

    Raises:
        SystemExit: The stack ended before; what it printed is on the terminal.
    """
    data_dir.mkdir(parents=True)
    ports = free_ports(4)
    settings = Settings(
        data_dir=data_dir.absolute(),
        port=ports[0],
        engine_port=ports[1],
        trainer_port=ports[2],
        evals_port=ports[3],
    )
    status_file = data_dir / "ready.json"
    command = [sys.executable, "-m", "service.cli", "up", "--ready-file", str(status_file)]
    console.print(f"Starting vLLM, service, trainer and evals; data in {data_dir}")
    process = subprocess.Popen(command, env=child_environment(settings))  # noqa: S603 - our own program
    with ExitStack() as undo:
        undo.callback(_stop, process)
        _await(process, lambda: _is_alive(settings.service_url))
        yield RunningStack(
            url=settings.service_url,
            key=settings.admin_key_file.read_text().strip(),
            base=settings.base_name,
            status_file=status_file,
            process=process,
        )
        console.print("\nStopping everything that was started")


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _await(process: subprocess.Popen[bytes], holds: Callable[[], bool]) -> None:
    while process.poll() is None:
        if holds():
            return
        try:
            process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            continue
    sys.exit(process.returncode or 1)


def _is_alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").status_code == _OK
    except httpx.HTTPError:
        return False


def _engine_pid(status: dict[str, object]) -> int:
    pids = status["pids"]
    if not isinstance(pids, dict):
        raise TypeError("the ready file has no process ids")
    return int(pids["engine"])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(timeout=_STOP_SECONDS)
