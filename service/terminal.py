"""What every command of `graftline` shares: settings with options over them, and faults in a line.

It refuses to know the commands.
"""

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console

from registry.settings import Settings

DataDir = Annotated[
    Path | None, typer.Option(help="Folder for database, files, adapters, logs and keys.")
]
"""The option that names the data directory."""
ServiceUrl = Annotated[str | None, typer.Option(help="Address of the service.")]
"""The option that names a running service; the settings' own by default."""
ServiceKey = Annotated[
    str | None, typer.Option(help="API key; by default the data directory's admin key.")
]
"""The option that gives a key for it."""


def read_settings(**chosen: object) -> Settings:
    """Return the settings from the environment, with the command line's choices over them."""
    given = {name: value for name, value in chosen.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type] # pydantic checks each value
    except ValidationError as exc:
        faults = exc.errors(include_input=False)
        fail("\n".join(_setting_fault(fault["loc"], fault["msg"]) for fault in faults))


def fail(message: str) -> NoReturn:
    """Print a fault and end with status 1."""
    Console(stderr=True).print(f"Error: {message}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def admin_key(settings: Settings) -> str:
    """Return the first admin key, or end with a fault."""
    try:
        return settings.admin_key_file.read_text().strip()
    except OSError:
        fail(f"There is no key in {settings.data_dir}. Name the folder (--data-dir) or a key.")


def _setting_fault(place: tuple[int | str, ...], message: str) -> str:
    """Return a fault with its variable; one of several settings together names them itself."""
    if not place:
        return message.removeprefix("Value error, ")
    return f"GRAFTLINE_{'_'.join(map(str, place)).upper()}: {message}"
