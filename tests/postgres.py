"""A real PostgreSQL for tests: one server for the run, one database for each test.

It refuses to know any table.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest


@contextmanager
def temporary_database() -> Iterator[str]:
    """Yield the SQLAlchemy URL of an empty database."""
    folder = _server()
    name = f"t{uuid4().hex}"
    with psycopg.connect(f"host={folder} user=postgres dbname=postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"postgresql+psycopg://postgres@/{name}?host={folder}"
    finally:
        with psycopg.connect(
            f"host={folder} user=postgres dbname=postgres", autocommit=True
        ) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@cache
def _server() -> str:
    """Start a server that listens on a Unix socket only, and return the socket's folder."""
    binaries = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="graftline-pg-"))
    user = _unprivileged_user(folder)
    data = folder / "data"
    _run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres"], folder, user)
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    start: list[str | Path] = [
        binaries / "pg_ctl",
        "-D",
        data,
        "-o",
        options,
        "-l",
        folder / "log",
        "-w",
        "start",
    ]
    _run(start, folder, user)
    atexit.register(_stop, binaries, folder, user)
    return str(folder)


def _run(command: Sequence[str | Path], folder: Path, user: str | None) -> None:
    subprocess.run(command, check=True, capture_output=True, user=user, cwd=folder)


def _stop(binaries: Path, folder: Path, user: str | None) -> None:
    stop: list[str | Path] = [binaries / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop"]
    subprocess.run(stop, check=False, capture_output=True, user=user)
    shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.fail("PostgreSQL's server is missing: run `bash deploy/test-tools.sh`.")
    return found[-1].parent


def _unprivileged_user(folder: Path) -> str | None:
    """Return whom to run as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    shutil.chown(folder, "nobody")
    folder.chmod(0o755)
    return "nobody"
