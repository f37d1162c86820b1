"""What the operator sees."""

import io

from rich.console import Console

from registry.settings import Settings
from service.stack.display import Display, table_of, welcome
from service.stack.parts import Observation, Part, advance, answered


def running(name: str) -> Part:
    """Return a part that answers."""
    seen = Observation(
        name=name, pid=7, started_at=100, stopped_at=0, exit_status=0, spawn_error=""
    )
    return answered(advance(Part(name=name, waits_for="nothing"), seen))


def test_each_part_has_one_line() -> None:
    """Name, state, process and uptime."""
    console = Console(file=io.StringIO(), width=100)
    console.print(table_of([running("engine"), running("service")], 160.0))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined] # a StringIO
    assert [line.split() for line in lines] == [
        ["engine", "ready", "pid", "7", "up", "1:00"],
        ["service", "ready", "pid", "7", "up", "1:00"],
    ]


def test_the_welcome_can_be_copied(settings: Settings) -> None:
    """Address, key and model are in it, on lines that are not broken."""
    told = welcome(settings, "sk-graftline-secret")
    assert 'base_url="http://127.0.0.1:8080/v1", api_key="sk-graftline-secret"' in told
    assert 'model="tiny-base"' in told
    assert str(settings.admin_key_file) in told


def test_a_missing_key_is_said(settings: Settings) -> None:
    """A database shared with another data directory has its key there."""
    assert "graftline keys create" in welcome(settings, None)


def test_without_a_terminal_there_are_plain_lines() -> None:
    """No table, no codes: one line for each thing that happened."""
    output = io.StringIO()
    with Display(Console(file=output)) as display:
        display.show([running("engine")])
        display.tell(["engine is ready"])
    (line,) = output.getvalue().splitlines()
    assert line.endswith(" engine is ready")
    assert "\x1b" not in line


def test_on_a_terminal_the_table_tells() -> None:
    """While it is there, no lines are written between its own."""
    output = io.StringIO()
    with Display(Console(file=output, force_terminal=True, width=80)) as display:
        display.tell(["engine is starting"])
        display.show([running("engine")])
        display.settle()
        display.tell(["engine died"])
    told = output.getvalue()
    assert "engine is starting" not in told
    assert "ready" in told
    assert "engine died" in told
