"""The text of supervisor's configuration, read back by supervisor itself."""

import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from supervisor.options import ServerOptions

from service.stack.configuration import LOGS, supervisor_text
from service.stack.programs import Program


def program(name: str, *command: str, **extra: Any) -> Program:
    """Return a program with a command."""
    return Program(
        name=name,
        command=command,
        health_url="http://127.0.0.1:1/",
        waits_for="nothing",
        stop_seconds=7,
        **extra,
    )


def read_back(folder: Path, text: str) -> Any:
    """Return what supervisor understands."""
    (folder / LOGS).mkdir(parents=True, exist_ok=True)
    configuration = folder / "supervisord.conf"
    configuration.write_text(text)
    options = ServerOptions()
    options.realize(["--configuration", str(configuration)])
    return options


def commands(options: Any) -> dict[str, Any]:
    """Return supervisor's view of each program."""
    return {
        one.name: one for group in options.process_group_configs for one in group.process_configs
    }


WORDS = st.text(
    st.characters(codec="utf-8", exclude_characters="\n\r\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"),
    min_size=1,
)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_any_word_survives(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    """Blanks, quotes, percent signs, semicolons and hashes reach the program as they were."""
    text = supervisor_text([program("one", "/bin/true", *words)], socket="/run/s", tether=())
    found = commands(read_back(tmp_path_factory.mktemp("conf"), text))["one"]
    assert shlex.split(found.command) == ["/bin/true", *words]


def test_supervisor_never_gives_up_by_itself(tmp_path: Path) -> None:
    """A program is restarted whatever its exit status, again and again."""
    text = supervisor_text([program("one", "/bin/true")], socket="/run/s", tether=())
    found = commands(read_back(tmp_path, text))["one"]
    assert found.autorestart.__name__ == "RestartUnconditionally"
    assert found.startretries > 1000
    assert found.stopwaitsecs == 7
    assert found.killasgroup


def test_logs_are_rotated_beside_the_configuration(tmp_path: Path) -> None:
    """Each program has a log of bounded size, with its errors in it."""
    text = supervisor_text([program("one", "/bin/true")], socket="/run/s", tether=())
    found = commands(read_back(tmp_path, text))["one"]
    assert found.stdout_logfile == str(tmp_path / LOGS / "one.log")
    assert found.redirect_stderr
    assert found.stdout_logfile_maxbytes
    assert found.stdout_logfile_backups


def test_those_in_front_stop_first(tmp_path: Path) -> None:
    """Supervisor stops the highest priority first: the service before the engine it leans on."""
    text = supervisor_text(
        [program("engine", "/bin/true", stops_first=False), program("service", "/bin/true")],
        socket="/run/s",
        tether=(),
    )
    groups = sorted(read_back(tmp_path, text).process_group_configs)
    assert [one.process_configs[0].name for one in groups] == ["engine", "service"]


def test_variables_are_set(tmp_path: Path) -> None:
    """A program's own variables reach it."""
    one = program("one", "/bin/true", environment={"OMP_NUM_THREADS": "1", "FLAG": "True"})
    found = commands(read_back(tmp_path, supervisor_text([one], socket="/run/s", tether=())))["one"]
    assert found.environment == {"OMP_NUM_THREADS": "1", "FLAG": "True"}


def test_the_tether_comes_first(tmp_path: Path) -> None:
    """It starts the program, and ends it when supervisor is killed."""
    text = supervisor_text([program("one", "/bin/true")], socket="/run/s", tether=("leash", "-k"))
    assert commands(read_back(tmp_path, text))["one"].command == "leash -k /bin/true"
