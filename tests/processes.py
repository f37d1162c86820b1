"""Following processes of a test: free ports, files that appear, and what is left at the end.

It refuses to know which processes those are.
"""

import json
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

_PAUSE_SECONDS = 0.1


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on now."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until a condition holds; fail with its name if it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(_PAUSE_SECONDS)


def wait_for_json(path: Path, holds: Callable[[Any], bool], seconds: float = 60.0) -> Any:
    """Wait until a JSON file says what is wanted, and return what it says."""
    wait_until(lambda: path.exists() and holds(read_json(path)), f"{path} as wanted", seconds)
    return read_json(path)


def read_json(path: Path) -> Any:
    """Return what a JSON file says; none while it is not there."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def family(pid: int) -> list[psutil.Process]:
    """Return a process and everything below it."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def still_alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those that still run; a zombie does not."""
    return [process for process in processes if _runs(process)]


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
