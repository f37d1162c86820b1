"""A real S3-compatible server for tests (rclone's), over a folder whose files are its objects.

It refuses to know what is kept in it. It remembers folders: change objects through it alone.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.vllm_server import free_port

ACCESS_KEY = "graftline-test"
SECRET_KEY = "no-secret-at-all"
BUCKET = "artifacts"
_START_SECONDS = 20.0
_PAUSE_SECONDS = 0.05


class S3Server:
    """A server on a port of its own; what it holds outlives it."""

    def __init__(self, folder: Path) -> None:
        self.objects = folder / BUCKET
        """The bucket's objects, as files."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once it takes connections."""
        self.objects.mkdir(parents=True, exist_ok=True)
        command = [_program(), "serve", "s3", str(self._folder)]
        command += ["--addr", f"127.0.0.1:{self.port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        command += ["--config", str(self._folder / "none.conf")]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, "the S3 server ended"
            assert time.monotonic() < deadline, "the S3 server does not answer"

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def keys(self) -> list[str]:
        """Return the key of every object."""
        found = (path for path in self.objects.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.objects)) for path in found)

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


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """Run a server for the length of a block, with its keys in the environment."""
    server = S3Server(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _program() -> str:
    # pip puts it beside the interpreter, which need not be on the path.
    found = shutil.which("rclone", path=str(Path(sys.executable).parent)) or shutil.which("rclone")
    if found is None:
        pytest.fail("rclone is missing: run `make install`.")
    return found
