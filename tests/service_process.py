"""`python -m service` as a process of a test's own, without an engine.

It refuses to know which claim a test makes.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

from registry.settings import Settings, child_environment
from tests.processes import free_ports, wait_until

ROOT = Path(__file__).parents[1]
START_SECONDS = 60


def settings_for(data_dir: Path) -> Settings:
    """Return settings with a free port and an engine that is not there."""
    (port,) = free_ports(1)
    return Settings(data_dir=data_dir, engine_url="http://127.0.0.1:9", port=port)


@contextlib.contextmanager
def service(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Run the service, from its first answer on."""
    with subprocess.Popen(
        [sys.executable, "-m", "service"],
        cwd=ROOT,
        env=child_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            _wait_until_live(settings, process)
            yield process
        finally:
            process.kill()


def _wait_until_live(settings: Settings, process: subprocess.Popen[str]) -> None:
    def is_live() -> bool:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{settings.service_url}/health/live").is_success
        return False

    wait_until(is_live, "the service answers", START_SECONDS)


def client_of(settings: Settings) -> httpx.Client:
    """Return a client with the first admin key."""
    key = settings.admin_key_file.read_text().strip()
    return httpx.Client(
        base_url=settings.service_url, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )
