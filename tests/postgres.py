"""A real PostgreSQL for tests: one server for the run, one database for each test.

It refuses to know any table.
"""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest
from pydantic import SecretStr

from registry.settings import Settings
from registry.store import Store, open_store
from tests.processes import family

DATABASES = ("sqlite", "postgresql")
"""What a store may lie in."""


@asynccontextmanager
async def store_on(database: str, folder: Path) -> AsyncIterator[Store]:
    """Open an empty store on one of `DATABASES`."""
    with ExitStack() as stack:
        settings = Settings(data_dir=folder)
        if database == "postgresql":
            url = stack.enter_context(temporary_database())
            settings = Settings(data_dir=folder, database_url=SecretStr(url))
        opened = await open_store(settings)
        yield opened
        await opened.close()


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


@contextmanager
def own_server() -> Iterator["PostgresServer"]:
    """Run a server that a test may stop and freeze."""
    server = PostgresServer()
    try:
        yield server
    finally:
        server.remove()


class PostgresServer:
    """A server that listens on a Unix socket only, in a folder of its own."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="graftline-pg-"))
        """Where its socket is."""
        self._user = _unprivileged_user(self.folder)
        self._data = self.folder / "data"
        self._run([self._binaries / "initdb", "-D", self._data, "-A", "trust", "-U", "postgres"])
        self.start()

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of its first database."""
        return f"postgresql+psycopg://postgres@/postgres?host={self.folder}"

    def start(self) -> None:
        """Start it, and return once it answers."""
        options = f"-k {self.folder} -c listen_addresses= -c fsync=off"
        self._control("-o", options, "-l", self.folder / "log", "-w", "start")

    def stop(self) -> None:
        """Stop it as an operator does, and return once it is gone."""
        self._control("-m", "fast", "-w", "stop")

    def freeze(self) -> None:
        """Let it hang without a word: connections stay open, nothing is answered."""
        for process in self._processes():
            process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._processes():
            process.resume()

    def remove(self) -> None:
        """Stop it at once, if it runs, and delete its folder."""
        with suppress(OSError, psutil.NoSuchProcess):
            self.thaw()
        with suppress(subprocess.CalledProcessError):
            self._control("-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _processes(self) -> list[psutil.Process]:
        return family(int((self._data / "postmaster.pid").read_text().split()[0]))

    def _control(self, *arguments: str | Path) -> None:
        self._run([self._binaries / "pg_ctl", "-D", self._data, *arguments])

    def _run(self, command: Sequence[str | Path]) -> None:
        subprocess.run(command, check=True, capture_output=True, user=self._user, cwd=self.folder)


@cache
def _server() -> str:
    """Start the server of this run, and return the socket's folder."""
    server = PostgresServer()
    atexit.register(server.remove)
    return str(server.folder)


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
