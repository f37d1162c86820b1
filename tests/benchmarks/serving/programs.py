"""Programs that a benchmark starts: wait until they answer, keep them still, kill all of them.

It refuses to know what they are for.
"""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil

from tests.processes import family, wait_until

START_SECONDS = 180.0
"""Longest time until a program answers."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@contextmanager
def running(
    command: list[str], log: Path, ready_url: str, environment: Mapping[str, str] | None = None
) -> Iterator[int]:
    """Run a program for the length of a block; yield its process id once it answers.

    Raises:
        RuntimeError: It ended, or did not answer in time; the message ends with its log.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(environment or _ENVIRONMENT),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, ready_url, log)
        yield process.pid
    finally:
        _kill(process)


@contextmanager
def kept_still(pids: Iterable[int]) -> Iterator[None]:
    """Stop processes for the length of a block, so that they take no processor time."""
    members = [member for pid in pids for member in family(pid)]
    for member in members:
        member.suspend()
    try:
        yield
    finally:
        for member in members:
            with suppress(psutil.NoSuchProcess):
                member.resume()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and everything below it, user and system."""
    times = [member.cpu_times() for member in family(pid)]
    return sum(float(time.user + time.system) for time in times)


def resident_bytes(pid: int) -> int:
    """Return the memory that a process and everything below it hold now."""
    return sum(int(member.memory_info().rss) for member in family(pid))


def answers(url: str) -> bool:
    """Return whether a URL answers with success."""
    try:
        return httpx.get(url, timeout=2.0).is_success
    except httpx.HTTPError:
        return False


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    try:
        wait_until(lambda: answers(url) or process.poll() is not None, url, START_SECONDS)
    except AssertionError as exc:
        raise RuntimeError(f"{exc}:\n{_tail(log)}") from exc
    if process.poll() is not None:
        raise RuntimeError(f"{process.args!r} ended with {process.returncode}:\n{_tail(log)}")


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        for member in reversed(family(process.pid)):
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait(timeout=10)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]
