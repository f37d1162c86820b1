"""`python -m service` as a process: it starts, survives the worst, and stops cleanly."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from registry.settings import Settings, child_environment
from tests.service_api import rows

ROOT = Path(__file__).parents[3]
START_SECONDS = 60

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a free port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Settings(data_dir=tmp_path / "data", engine_url="http://127.0.0.1:9", port=port)


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
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{settings.service_url}/health/live").raise_for_status()
            return
        time.sleep(0.1)
    pytest.fail("the service did not start")


def _client(settings: Settings) -> httpx.Client:
    key = settings.admin_key_file.read_text().strip()
    return httpx.Client(
        base_url=settings.service_url, headers={"Authorization": f"Bearer {key}"}, timeout=30
    )


def test_what_was_acknowledged_survives_kill_9(settings: Settings) -> None:
    """The file, its content, the job and the key are there after the next start."""
    with service(settings) as process, _client(settings) as client:
        file = client.post(
            "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.jsonl", rows())}
        ).json()
        body = {"model": "tiny-base", "training_file": file["id"]}
        job = client.post("/v1/fine_tuning/jobs", json=body).json()
        process.kill()
    with service(settings), _client(settings) as client:
        assert client.get(f"/v1/files/{file['id']}/content").content == rows()
        assert client.get(f"/v1/fine_tuning/jobs/{job['id']}").json() == job


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_asked_to_stop_ends_well(
    settings: Settings, asked: signal.Signals
) -> None:
    """Within its time, with exit status 0."""
    with service(settings) as process:
        process.send_signal(asked)
        assert process.wait(settings.shutdown_seconds) == 0


def test_a_taken_port_is_a_clear_message(settings: Settings) -> None:
    """The address is named, and the process ends."""
    with socket.create_server(("127.0.0.1", settings.port)):
        ended = subprocess.run(
            [sys.executable, "-m", "service"],
            cwd=ROOT,
            env=child_environment(settings),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr
