"""A whole life of a stack of small programs, under the real supervisor."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from registry.settings import Settings, child_environment
from tests.processes import family, free_ports, still_alive, wait_for_json, wait_until


@dataclass
class SmallStack:
    """A running stack of small programs."""

    process: subprocess.Popen[str]
    """The one that plays `graftline up`."""
    ready_file: Path
    """What it tells other programs."""

    def status(self) -> Any:
        """Return what the ready file says once every part answers."""
        return wait_for_json(self.ready_file, lambda told: bool(told["ready"]))

    def stop(self, sign: int) -> str:
        """Send a signal and return everything the stack printed."""
        self.process.send_signal(sign)
        output, _ = self.process.communicate(timeout=90)
        return output


def start(tmp_path: Path, *words: str) -> SmallStack:
    """Start a stack in a folder of its own."""
    ready_file = tmp_path / "ready.json"
    ports = [str(port) for port in free_ports(2)]
    command = [sys.executable, "-m", "tests.fakes.small_stack", "run", str(tmp_path / "data")]
    process = subprocess.Popen(
        [*command, str(ready_file), *ports, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=child_environment(Settings()),
    )
    return SmallStack(process, ready_file)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[SmallStack]:
    """Return a running stack."""
    started = start(tmp_path)
    yield started
    if started.process.poll() is None:
        started.process.send_signal(signal.SIGINT)
    if started.process.stdout is not None and not started.process.stdout.closed:
        started.process.communicate(timeout=90)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_is_a_success(stack: SmallStack, sign: int) -> None:
    """After Ctrl-C or SIGTERM no process is left, grandchildren included, and the status is 0."""
    stack.status()
    everyone = family(stack.process.pid)
    assert len(everyone) >= 6, "up, supervisord, two programs and a child of each"
    stack.stop(sign)
    assert stack.process.returncode == 0
    assert not still_alive(everyone)


def test_ctrl_c_works_in_the_background_too(tmp_path: Path) -> None:
    """A shell script starts its background jobs with SIGINT ignored; we do not keep that."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        started = start(tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    started.status()
    started.stop(signal.SIGINT)
    assert started.process.returncode == 0


def test_the_welcome_names_address_and_data(stack: SmallStack) -> None:
    """What is printed once the stack is ready names the service's address."""
    url = stack.status()["url"]
    assert url in stack.stop(signal.SIGINT)


def test_a_killed_part_comes_back(stack: SmallStack) -> None:
    """After kill -9 of a part it is started again, and the ready file names the new process."""
    before = stack.status()["pids"]["trainer"]
    os.kill(before, signal.SIGKILL)
    told = wait_for_json(
        stack.ready_file,
        lambda told: told["ready"] and told["pids"]["trainer"] not in (before, None),
    )
    assert told["restarts"]["trainer"] == 1


def test_what_a_killed_part_leaves_behind_is_killed(stack: SmallStack) -> None:
    """After kill -9 of a part its own children do not live on without it."""
    dying = psutil.Process(stack.status()["pids"]["trainer"])
    wait_until(lambda: bool(dying.children()), "a child of the part")
    orphans = dying.children()
    dying.kill()
    wait_until(lambda: not still_alive(orphans), "the orphans are gone")


def test_nothing_outlives_a_killed_stack(stack: SmallStack) -> None:
    """After kill -9 of `graftline up` itself supervisord and every program end."""
    stack.status()
    everyone = family(stack.process.pid)
    stack.process.kill()
    wait_until(lambda: not still_alive(everyone), "every process is gone")


def test_a_killed_supervisor_ends_the_stack(stack: SmallStack) -> None:
    """After kill -9 of supervisord the stack stops with a fault and leaves nothing."""
    stack.status()
    everyone = family(stack.process.pid)
    os.kill(stack.status()["supervisor_pid"], signal.SIGKILL)
    output, _ = stack.process.communicate(timeout=90)
    assert stack.process.returncode == 1
    assert "supervisor ended" in output
    wait_until(lambda: not still_alive(everyone), "every process is gone")


def test_a_part_that_cannot_start_ends_the_stack(tmp_path: Path) -> None:
    """A part that dies again and again before its first answer stops all, with its last words."""
    broken = start(tmp_path, "broken")
    output, _ = broken.process.communicate(timeout=90)
    assert broken.process.returncode == 1
    assert "trainer has no licence to run" in output
    assert str(tmp_path / "data" / "logs" / "trainer.log") in output
    assert not broken.ready_file.exists()
