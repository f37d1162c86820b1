"""The real stack for tests: `graftline up` in a folder and on ports of its own.

It refuses to know what is tested on it.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from pydantic import SecretStr

from registry.durable import write_file
from registry.identifiers import new_secret
from registry.settings import Settings, child_environment
from tests.processes import family, free_ports, read_json, still_alive, wait_for_json, wait_until

START_SECONDS = 420.0
"""Longest time until everything answers."""
_STOP_SECONDS = 60.0
_LOG_LINES = 60


def own_settings(folder: Path) -> Settings:
    """Return settings with a data directory and ports that nobody else uses."""
    ports = free_ports(4)
    return Settings(
        data_dir=folder / "data",
        port=ports[0],
        engine_port=ports[1],
        trainer_port=ports[2],
        evals_port=ports[3],
    )


def judged_by_itself(settings: Settings) -> Settings:
    """Return settings of a stack whose judge is its own base model, asked with its admin key."""
    secret = new_secret()
    settings.data_dir.mkdir(parents=True)
    write_file(settings.admin_key_file, f"{secret}\n".encode(), mode=0o600)
    judge = {
        "judge_url": f"{settings.service_url}/v1",
        "judge_key": SecretStr(secret),
        "judge_model": "tiny-base",
    }
    return settings.model_copy(update=judge)


def up_command(*options: str) -> list[str]:
    """Return the command line of `graftline up`."""
    return [sys.executable, "-m", "service.cli", "up", *options]


class Stack:
    """A running stack; make one with `running_stack`."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings = settings
        self.data_dir = settings.data_dir
        self.url = settings.service_url
        self._ready_file = folder / "ready.json"
        self._output = folder / "up.out"
        self._killed: set[int] = set()
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                up_command("--ready-file", str(self._ready_file)),
                env=child_environment(settings),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def admin_key(self) -> str:
        """The first admin key."""
        return self.settings.admin_key_file.read_text().strip()

    def output(self) -> str:
        """Return what `graftline up` printed so far."""
        return self._output.read_text(errors="replace")

    def status(self) -> Any:
        """Return what the ready file says; none before the first readiness."""
        return read_json(self._ready_file)

    def pids(self) -> dict[str, int | None]:
        """Return the process of each part as it is now."""
        found: dict[str, int | None] = self.status()["pids"]
        return found

    def kill(self, part: str, sign: int = signal.SIGKILL) -> int:
        """Send a signal to a part and return its process id."""
        pid = self.pids()[part]
        assert pid is not None, f"{part} does not run"
        self._killed.add(pid)
        os.kill(pid, sign)
        return pid

    def kill_process(self, process: psutil.Process, sign: int = signal.SIGKILL) -> None:
        """Send a signal to any process."""
        process.send_signal(sign)

    def training_child(self) -> psutil.Process | None:
        """Return the process that trains now, if one does."""
        trainer = self.pids()["trainer"]
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(trainer).children(recursive=True):
                if any("trainer" in word for word in child.cmdline()):
                    return child
        return None

    def wait_ready(self, seconds: float = START_SECONDS) -> Any:
        """Wait until every part answers, those that were killed included; return the status."""

        def ready(told: Any) -> bool:
            self._check_alive()
            return bool(told["ready"]) and not self._killed & set(told["pids"].values())

        wait_until(lambda: self._check_alive() and self._ready_file.exists(), "ready file", seconds)
        return wait_for_json(self._ready_file, ready, seconds)

    def start(self) -> None:
        """Wait for the first readiness."""
        self.wait_ready()

    def stop(self) -> None:
        """Stop it as Ctrl-C does, and check that it ended well and left nothing behind."""
        everyone = family(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        try:
            status = self.process.wait(timeout=_STOP_SECONDS)
        finally:
            left = still_alive(everyone)
            for process in left:
                process.kill()
        assert status == 0, self.output()
        assert not left, f"left behind: {left}"

    def logs(self) -> str:
        """Return the last lines of every log."""
        told = [f"--- graftline up\n{self.output()}"]
        for log in sorted((self.data_dir / "logs").glob("*.log")):
            last = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            told.append("\n".join([f"--- {log.name}", *last]))
        return "\n".join(told)

    def _check_alive(self) -> bool:
        assert self.process.poll() is None, f"graftline up ended:\n{self.output()}"
        return True


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Run a stack for the length of a block; if it does not start, its logs are in the error."""
    stack = Stack(judged_by_itself(own_settings(folder)), folder)
    try:
        try:
            stack.start()
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{stack.logs()}") from exc
        yield stack
    finally:
        if stack.process.poll() is None:
            stack.stop()
