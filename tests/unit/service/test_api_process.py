"""`python -m service` as a process: it starts, survives the worst, and stops cleanly."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from registry.settings import Settings, child_environment
from tests.service_api import rows
from tests.service_process import ROOT, START_SECONDS, client_of, service, settings_for

pytestmark = pytest.mark.slow


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a free port."""
    return settings_for(tmp_path / "data")


def test_what_was_acknowledged_survives_kill_9(settings: Settings) -> None:
    """The file, its content, the job and the key are there after the next start."""
    with service(settings) as process, client_of(settings) as client:
        file = client.post(
            "/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.jsonl", rows())}
        ).json()
        body = {"model": "tiny-base", "training_file": file["id"]}
        job = client.post("/v1/fine_tuning/jobs", json=body).json()
        process.kill()
    with service(settings), client_of(settings) as client:
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
