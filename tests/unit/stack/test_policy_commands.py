"""`graftline policy` and `graftline evaluate`."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from registry.policy import Policy, read_policy
from service.cli import app

FAULTY = "min_rows: many\n"


@pytest.fixture
def cli() -> CliRunner:
    """Return a runner of the command line."""
    return CliRunner()


def test_a_policy_file_is_checked_and_shown_whole(cli: CliRunner, tmp_path: Path) -> None:
    """What is printed is the whole policy, and can be read again."""
    path = tmp_path / "policy.yaml"
    path.write_text("smallest_effect: 0.05\n", "utf-8")
    told = cli.invoke(app, ["policy", str(path)])
    path.write_text(told.stdout, "utf-8")
    assert told.exit_code == 0
    assert read_policy(path) == Policy(smallest_effect=0.05)


def test_without_a_file_the_policy_in_force_is_shown(cli: CliRunner) -> None:
    """The built-in one, where the operator set none."""
    assert "smallest_effect: 0.02" in cli.invoke(app, ["policy"]).stdout


def test_a_faulty_policy_ends_with_its_fault(cli: CliRunner, tmp_path: Path) -> None:
    """The field is named, and the status is 1."""
    path = tmp_path / "policy.yaml"
    path.write_text(FAULTY, "utf-8")
    told = cli.invoke(app, ["policy", str(path)])
    assert told.exit_code == 1
    assert "min_rows" in told.stderr


def test_a_faulty_policy_is_never_sent(cli: CliRunner, tmp_path: Path) -> None:
    """The terminal says what is wrong before the service is asked."""
    path = tmp_path / "policy.yaml"
    path.write_text(FAULTY, "utf-8")
    told = cli.invoke(app, ["evaluate", "ft:x", "--policy", str(path), "--key", "k"])
    assert told.exit_code == 1
    assert "min_rows" in told.stderr


def test_a_service_that_is_away_is_named(cli: CliRunner) -> None:
    """An address where nothing listens is said, with the option to mend it."""
    told = cli.invoke(app, ["evaluate", "ft:x", "--url", "http://127.0.0.1:9", "--key", "k"])
    assert told.exit_code == 1
    assert "--url" in told.stderr
