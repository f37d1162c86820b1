"""`graftline keys`: what the API offers for keys, on the command line."""

import asyncio
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from registry.records import ApiKey
from registry.settings import Settings
from registry.store import open_store
from service.cli import app
from tests.database_template import prepare


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data directory with a database."""
    prepare(tmp_path)
    return tmp_path


def keys(folder: Path, *words: str) -> Result:
    """Run a command."""
    return CliRunner().invoke(app, ("keys", *words, "--data-dir", str(folder)))


def made(folder: Path, *options: str) -> str:
    """Make a key and return its id."""
    result = keys(folder, "create", *options)
    assert result.exit_code == 0, result.output
    return result.stderr.split(":")[0]


def stored(folder: Path, identifier: str) -> ApiKey:
    """Return a key's record."""

    async def get() -> ApiKey:
        store = await open_store(Settings(data_dir=folder))
        try:
            return await store.keys.get(identifier)
        finally:
            await store.close()

    return asyncio.run(get())


def test_a_key_is_made_with_an_end_and_limits(folder: Path) -> None:
    """The list shows them."""
    options = ("--expires-in", "90d", "--requests-per-minute", "60", "--tokens-per-minute", "5000")
    key = stored(folder, made(folder, *options))
    assert key.expires_at == key.created_at + 90 * 86_400
    assert (key.requests_per_minute, key.tokens_per_minute) == (60, 5000)
    (line,) = (line for line in keys(folder, "list").stdout.splitlines() if key.id in line)
    assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d .* 60 .* 5,000 ", line)


def test_a_date_is_in_utc(folder: Path) -> None:
    """Whatever this machine's clock shows."""
    key = stored(folder, made(folder, "--expires-at", "2099-12-31"))
    assert key.expires_at == 4102358400


def test_a_change_touches_only_what_it_names(folder: Path) -> None:
    """'none' takes a limit or an end away."""
    identifier = made(folder, "--expires-in", "1d", "--requests-per-minute", "5")
    told = keys(folder, "change", identifier, "--tokens-per-minute", "7", "--expires-in", "none")
    key = stored(folder, identifier)
    assert (key.expires_at, key.requests_per_minute, key.tokens_per_minute) == (None, 5, 7)
    assert "5 requests a minute; 7 tokens a minute" in told.stdout
    keys(folder, "change", identifier, "--requests-per-minute", "none", "--name", "new")
    key = stored(folder, identifier)
    assert (key.requests_per_minute, key.tokens_per_minute, key.name) == (None, 7, "new")


def test_a_rotation_prints_the_successors_secret(folder: Path) -> None:
    """It has the same rights; the old key ends after the grace."""
    identifier = made(folder, "--scope", "training", "--requests-per-minute", "5")
    result = keys(folder, "rotate", identifier, "--grace", "1h")
    assert result.stdout.strip().startswith("sk-graftline-")
    new, old = stored(folder, result.stderr.split(":")[0]), stored(folder, identifier)
    assert (new.scopes, new.requests_per_minute, new.expires_at) == (old.scopes, 5, None)
    assert old.expires_at == new.created_at + 3600


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "--expires-in", "soon"), "--expires-in: 'soon' is no time"),
        (("create", "--expires-in", "0s"), "'expires_in_seconds' must be from 1 second"),
        (("create", "--expires-in", "5m", "--expires-at", "2099-01-01"), "not both"),
        (("create", "--expires-at", "1999-01-01"), "'expires_at' must be"),
        (("create", "--requests-per-minute", "0"), "'requests_per_minute' must be from 1"),
        (("create", "--project", "Not A Name"), "A project's name"),
        (("create", "--name", ""), "'name' must have"),
        (("change", "key-x"), "Nothing to change"),
        (("change", "key-x", "--name", "y"), "No such API key: 'key-x'"),
        (("change", "key-x", "--tokens-per-minute", "many"), "'many' is no limit"),
        (("change", "key-x", "--expires-in", "none", "--expires-at", "2099-01-01"), "not both"),
        (("rotate", "key-x"), "No such API key: 'key-x'"),
        (("rotate", "key-x", "--grace", "90d"), "'grace_seconds' must be"),
    ],
)
def test_a_fault_is_named_with_its_remedy(folder: Path, words: tuple[str, ...], told: str) -> None:
    """One line, and nothing is changed."""
    result = keys(folder, *words)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert told in result.stderr


@pytest.mark.parametrize("words", [("revoke",), ("change", "--expires-in", "1d")])
def test_the_last_admin_key_stays(folder: Path, words: tuple[str, ...]) -> None:
    """As over HTTP; with another one it may go."""
    first = made(folder, "--scope", "admin")
    result = keys(folder, words[0], first, *words[1:])
    assert result.exit_code == 1
    assert "make another one first" in result.stderr
    made(folder, "--scope", "admin")
    assert keys(folder, words[0], first, *words[1:]).exit_code == 0
