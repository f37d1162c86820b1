"""Real S3-compatible servers for tests: rclone's, over a folder, and moto's, in memory.

It refuses to know what is kept in them. rclone's remembers folders: change objects through it.
"""

import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.vllm_server import free_port

ACCESS_KEY = "graftline-test"
SECRET_KEY = "no-secret-at-all"
BUCKET = "artifacts"
_START_SECONDS = 60.0
_PAUSE_SECONDS = 0.05


class ObjectServer(ABC):
    """A server on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once it takes connections."""
        self._process = subprocess.Popen(
            self._command(),
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "the S3 server ended"
            assert time.monotonic() < deadline, "the S3 server does not answer"

    def stop(self) -> None:
        """Let nobody reach it; what it holds stays."""
        self.kill()

    def kill(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @abstractmethod
    def _command(self) -> list[str]:
        """Return what starts it."""

    def _environment(self) -> dict[str, str] | None:
        return None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            assert self._process is not None
            try:
                self._process.wait(timeout=_PAUSE_SECONDS)
            except subprocess.TimeoutExpired:
                return False
            return False
        return True


class S3Server(ObjectServer):
    """rclone's server; what it holds outlives it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.objects = folder / BUCKET
        """The bucket's objects, as files."""

    def _command(self) -> list[str]:
        self.objects.mkdir(parents=True, exist_ok=True)
        command = [_program(), "serve", "s3", str(self._folder)]
        command += ["--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        return [*command, "--config", str(self._folder / "none.conf")]

    def keys(self) -> list[str]:
        """Return the key of every object."""
        found = (path for path in self.objects.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.objects)) for path in found)


class MotoServer(ObjectServer):
    """moto's server, which imitates Amazon's; what it holds is in its memory."""

    def __init__(self, folder: Path, libraries: str) -> None:
        super().__init__(folder)
        self._libraries = libraries

    def start(self) -> None:
        """Start it and make its bucket, or let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            return
        super().start()
        httpx.put(f"{self.url}/{BUCKET}").raise_for_status()

    def stop(self) -> None:
        """Let it hang without a word: what it holds would not outlive it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _command(self) -> list[str]:
        options = ["-H", "127.0.0.1", "-p", str(self.port)]
        return [sys.executable, "-m", "moto.server", *options]

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": self._libraries, "PATH": ""}


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """Run rclone's server for the length of a block, with its keys in the environment."""
    server = S3Server(folder)
    with _running(server):
        yield server


@contextmanager
def running_moto(folder: Path, libraries: str) -> Iterator[MotoServer]:
    """Run moto's server likewise; `libraries` is the folder where it is installed."""
    server = MotoServer(folder, libraries)
    with _running(server):
        yield server


@contextmanager
def _running(server: ObjectServer) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        server.start()
        try:
            yield
        finally:
            server.kill()


def _program() -> str:
    # pip puts it beside the interpreter, which need not be on the path.
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if found is None:
        pytest.fail("rclone is missing: run `make install`.")
    return found
