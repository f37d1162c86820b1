"""The `graftline` command, without a stack."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.settings import Settings
from registry.store import open_store
from service.cli import app
from tests.adapter_folders import write


def graftline(*words: str, **environment: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, words, env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data directory with a database."""

    async def make() -> None:
        await (await open_store(Settings(data_dir=tmp_path))).close()

    asyncio.run(make())
    return tmp_path


def test_every_setting_is_listed() -> None:
    """With its value, where it comes from and what it means."""
    told = graftline("settings", GRAFTLINE_PORT="9123").stdout
    assert "GRAFTLINE_PORT = 9123  (environment)" in told
    assert "GRAFTLINE_HOST = 127.0.0.1  (default)" in told
    assert "Port the service listens on." in told
    assert all(f"GRAFTLINE_{name.upper()} = " in told for name in Settings.model_fields)


def test_secrets_are_hidden() -> None:
    """A database's URL has its password in it."""
    told = graftline("settings", GRAFTLINE_DATABASE_URL="postgresql://me:pass@host/db").stdout
    assert "pass@" not in told
    assert "GRAFTLINE_DATABASE_URL = (hidden)" in told


def test_a_setting_out_of_range_is_named() -> None:
    """Not a traceback, and not the value, which may be a secret."""
    result = graftline("settings", GRAFTLINE_PORT="99999")
    assert result.exit_code == 1
    assert "GRAFTLINE_PORT: Input should be less than or equal to 65535" in result.stderr


def test_a_key_is_made_listed_and_revoked(folder: Path) -> None:
    """Its secret alone is on the first output, so that a script can take it."""
    place = ("--data-dir", str(folder))
    made = graftline("keys", "create", "--scope", "training", "--name", "robot", *place)
    assert made.stdout.strip().startswith("sk-graftline-")
    identifier = made.stderr.split(":")[0]
    assert identifier in graftline("keys", "list", *place).stdout
    assert graftline("keys", "revoke", identifier, *place).exit_code == 0
    assert identifier not in graftline("keys", "list", *place).stdout


def test_a_key_that_does_not_exist_is_not_revoked(folder: Path) -> None:
    """The message names it."""
    result = graftline("keys", "revoke", "key-none", "--data-dir", str(folder))
    assert result.exit_code == 1
    assert "key-none" in result.stderr


def test_keys_make_no_database_of_their_own(tmp_path: Path) -> None:
    """A mistyped folder is a message, not a new and empty database."""
    result = graftline("keys", "list", "--data-dir", str(tmp_path))
    assert result.exit_code == 1
    assert "--data-dir" in result.stderr
    assert not list(tmp_path.iterdir())


def test_settings_that_contradict_one_another_are_explained() -> None:
    """The message names both and what to do."""
    told = graftline(
        "settings",
        GRAFTLINE_ENGINE_URL="http://a:1",
        GRAFTLINE_ENGINE_DNS="http://b:1",
    )
    assert told.exit_code == 1
    assert "Error: GRAFTLINE_ENGINE_URL and GRAFTLINE_ENGINE_DNS are both set" in told.stderr


def test_the_version_is_told() -> None:
    """Of the engine too."""
    assert "vllm" in graftline("version").stdout


def test_an_address_that_does_not_answer_is_not_healthy() -> None:
    """A container's health check reads the status."""
    assert graftline("healthy", "http://127.0.0.1:1/").exit_code == 1


def test_an_import_of_checkpoints_says_which(tmp_path: Path) -> None:
    """A trainer's output folder holds several adapters: the user chooses."""
    for step in (9, 10):
        write(tmp_path / f"checkpoint-{step}")
    result = graftline("import", str(tmp_path), "--key", "k")
    assert result.exit_code == 1
    assert result.stderr.index("checkpoint-9'") < result.stderr.index("checkpoint-10'")


def test_an_import_of_a_pickle_says_how_to_convert(tmp_path: Path) -> None:
    """It is never opened, here or there."""
    (tmp_path / "adapter_model.bin").write_bytes(b"x")
    result = graftline("import", str(tmp_path), "--key", "k")
    assert result.exit_code == 1
    assert "safe_serialization=True" in result.stderr


def test_an_import_without_a_service_says_so(tmp_path: Path) -> None:
    """The address is named, and the option."""
    result = graftline("import", str(write(tmp_path)), "--key", "k", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "--url" in result.stderr


def test_nothing_heavy_is_imported() -> None:
    """The command line's first word comes at once."""
    code = (
        "import sys, time, service.cli; "
        "heavy = {'torch', 'litestar', 'sqlalchemy', 'vllm', 'trainer', 'evals', 'transformers'}; "
        "print(sorted(heavy & set(sys.modules)), time.process_time() < 1)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[] True\n"
