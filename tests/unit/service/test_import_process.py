"""`graftline import` to a service process, which is killed while it takes another adapter."""

import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.artifacts import verify
from registry.settings import Settings
from service.cli import app
from tests.adapter_folders import write
from tests.processes import wait_until
from tests.service_process import client_of, service, settings_for

pytestmark = pytest.mark.slow
HOURS_AGO = 7200


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a free port."""
    return settings_for(tmp_path / "data")


def graftline_import(settings: Settings, folder: Path, *options: str) -> Result:
    """Run the command as a user does."""
    place = ("--data-dir", str(settings.data_dir), "--url", settings.service_url)
    return CliRunner().invoke(app, ("import", str(folder), *place, *options))


def begin_upload(settings: Settings) -> socket.socket:
    """Send the head and the first part of an import, and no more."""
    key = settings.admin_key_file.read_text().strip()
    head = (
        "POST /v1/adapters HTTP/1.1\r\nHost: graftline\r\nContent-Length: 9000000\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: multipart/form-data; boundary=cut\r\n\r\n"
        '--cut\r\nContent-Disposition: form-data; name="adapter_model"; filename="a"\r\n\r\n'
    )
    opened = socket.create_connection(("127.0.0.1", settings.port))
    opened.sendall(head.encode() + bytes(3_000_000))
    return opened


def staged(settings: Settings) -> list[Path]:
    """Return the folders of imports that have content."""
    return [path for path in settings.adapters_dir.glob(".import-*.part") if any(path.iterdir())]


def test_an_import_survives_and_half_an_import_does_not(settings: Settings, tmp_path: Path) -> None:
    """The next start knows the one, and deletes what is left of the other an hour later."""
    folder = write(tmp_path / "lora")
    with service(settings) as process:
        told = graftline_import(settings, folder, "--suffix", "mine")
        assert told.exit_code == 0, told.stderr
        name = told.stdout.strip()
        assert name.startswith("ft:tiny-base:default:mine:")
        again = graftline_import(settings, folder)
        assert again.exit_code == 1
        assert name in again.stderr
        with begin_upload(settings):
            wait_until(lambda: bool(staged(settings)), "a part of the upload on disk")
            process.kill()
            process.wait()
    (half,) = staged(settings)
    then = half.stat().st_mtime - HOURS_AGO
    os.utime(half, (then, then))
    with service(settings), client_of(settings) as client:
        shown = client.get("/v1/adapters").json()["data"]
        assert [each["id"] for each in shown] == [name]
        (whole,) = settings.adapters_dir.iterdir()
        verify(whole)
