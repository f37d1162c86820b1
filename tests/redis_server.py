"""A real Redis for tests, on a Unix socket of its own.

It refuses to know what is counted in it.
"""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

_START_SECONDS = 20


@contextmanager
def running_redis() -> Iterator[str]:
    """Yield the URL of an empty server that keeps nothing on disk."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.fail("Redis' server is missing: run `bash deploy/test-tools.sh`.")
    folder = Path(tempfile.mkdtemp(prefix="graftline-redis-"))
    path = folder / "socket"
    command = [
        program,
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _await_answer(path)
        yield f"redis+unix://{path}"
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _await_answer(path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    with redis.Redis(unix_socket_path=str(path)) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
            else:
                return
