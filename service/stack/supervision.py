"""One supervisord as our child: started, asked over its socket, and stopped with all it started.

It refuses to know which programs those are, and whether they do their work.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from xmlrpc.client import Error as RpcError
from xmlrpc.client import ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport

from registry.durable import write_file
from registry.errors import Unavailable
from service.stack.configuration import LOGS, supervisor_text
from service.stack.parts import Observation
from service.stack.programs import Program

_MAX_SOCKET_PATH = 90
"""Longest path a socket may have: the kernel takes 107 bytes, and supervisor adds its pid."""
_KILL_SECONDS = 5.0
_MARGIN_SECONDS = 10.0


def tether(sign: str = "TERM") -> tuple[str, ...]:
    """Return the words before a command that send it a signal when the process above it is gone.

    The kernel sends it when the thread that started the process ends, so start it from the main
    thread. Without util-linux there is no tether.
    """
    setpriv = shutil.which("setpriv")
    return (setpriv, "--pdeathsig", sign, "--") if setpriv else ()


class Supervision:
    """A running supervisord. Leaving the block stops it and everything below it."""

    def __init__(self, folder: Path, programs: Sequence[Program], python: str) -> None:
        self._folder = folder
        self._programs = tuple(programs)
        self._python = python
        self._socket, self._temporary = _socket_place(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()

    def start(self, environment: Mapping[str, str]) -> None:
        """Write the configuration and start supervisord with it; call it in the main thread."""
        (self._folder / LOGS).mkdir(parents=True, exist_ok=True)
        configuration = self._folder / "supervisord.conf"
        text = supervisor_text(self._programs, socket=str(self._socket), tether=tether())
        write_file(configuration, text.encode())
        with self.console_log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own words, no shell
                [
                    *tether(),
                    *(self._python, "-m", "supervisor.supervisord"),
                    *("--nodaemon", "--configuration", str(configuration)),
                ],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C in the terminal is ours to hand on
            )

    @property
    def pid(self) -> int:
        """Process id of supervisord."""
        return self._running().pid

    @property
    def console_log(self) -> Path:
        """What supervisord itself printed."""
        return self._folder / LOGS / "supervisord.out"

    def log_of(self, program: str) -> Path:
        """Return a program's log file."""
        return self._folder / LOGS / f"{program}.log"

    def wait(self, seconds: float) -> None:
        """Wait until supervisord ends, at most `seconds`.

        Raises:
            Unavailable: It ended, which it does only when it is broken or was killed.
        """
        with suppress(subprocess.TimeoutExpired):
            status = self._running().wait(timeout=seconds)
            message = f"The process supervisor ended with status {status}; see {self.console_log}."
            raise Unavailable("supervisor", message)

    def observe(self) -> list[Observation]:
        """Return what supervisord says about each program; empty while it does not answer.

        What a dead process left behind in its group is killed: supervisor itself reaps groups only
        when it stops a program, and an orphan of vLLM would keep its memory.
        """
        transport = SupervisorTransport(None, None, serverurl=f"unix://{self._socket}")
        try:
            with ServerProxy("http://supervisor", transport=transport) as proxy:
                found: Any = proxy.supervisor.getAllProcessInfo()
        except (OSError, HTTPException, RpcError):
            return []
        finally:
            transport.close()
        seen = [_observation(info) for info in found]
        present = {one.pid for one in seen if one.pid is not None}
        _kill_groups(self._groups - present)
        self._groups = present
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop every program and supervisord, and kill what is left of them."""
        if self._process is not None:
            below = _descendants(self._process.pid)
            self._process.terminate()
            patience = sum(program.stop_seconds for program in self._programs) + _MARGIN_SECONDS
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=patience)
            _end(below)
            _kill_groups(self._groups)
            self._process.kill()
            self._process.wait()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise Unavailable("supervisor", "The process supervisor was not started.")
        return self._process


def _socket_place(folder: Path) -> tuple[Path, tempfile.TemporaryDirectory[str] | None]:
    """Return where the socket goes: beside the configuration, or in `/tmp` if that is too long."""
    beside = folder.absolute() / "supervisor.sock"
    if len(os.fsencode(beside)) <= _MAX_SOCKET_PATH and not set("%;#\\ \"'") & set(str(beside)):
        return beside, None
    temporary = tempfile.TemporaryDirectory(prefix="graftline-", dir="/tmp")
    return Path(temporary.name) / "supervisor.sock", temporary


def _observation(info: Mapping[str, Any]) -> Observation:
    return Observation(
        name=info["name"],
        pid=info["pid"] or None,
        stopped_at=info["stop"],
        started_at=info["start"],
        exit_status=info["exitstatus"],
        spawn_error=info["spawnerr"],
    )


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found


def _end(processes: Iterable[psutil.Process]) -> None:
    """Kill the processes that still run, and wait until they are gone."""
    present = [process for process in processes if process.is_running()]
    for process in present:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(present, timeout=_KILL_SECONDS)


def _kill_groups(leaders: Iterable[int]) -> None:
    for leader in leaders:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)
