"""The command `graftline data FILE`: the report on a data file, without a server.

It refuses to know how the report is made, and imports what makes it only when it runs.
"""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from registry.errors import GraftlineError
from registry.inspection.records import Report
from registry.settings import Settings
from service.terminal import fail, read_settings

_HOUR = 3600


def data(
    file: Annotated[Path, typer.Argument(help="File of training rows, in any format we read.")],
    *,
    validation: Annotated[
        Path | None, typer.Option(help="Rows that must not be known from training.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Base model whose tokenizer counts: a folder or a name.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as a page to here.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole report as JSON.")
    ] = False,
) -> None:
    """Report on a data file: tokens, repeats, contradictions, secrets, leakage."""
    for path in (file, validation):
        if path is not None and not path.is_file():
            fail(f"There is no file '{path}'.")
    try:
        report = _report(file, validation, read_settings(base_model=base))
    except GraftlineError as exc:
        fail(str(exc))
    if html is not None:
        _write_page(report, html)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(report), indent=1).decode())
        return
    _show(report)


def _report(file: Path, validation: Path | None, settings: Settings) -> Report:
    from registry.formats.reading import check_file  # noqa: PLC0415 - the first word comes at once
    from registry.inspection.request import Request  # noqa: PLC0415 - likewise
    from service.inspector import environment_of  # noqa: PLC0415 - likewise
    from service.reports import checked  # noqa: PLC0415 - likewise

    for path in filter(None, (file, validation)):
        check_file(path, path.name)
    request = Request(
        path=str(file.absolute()),
        name=file.name,
        validation_path=None if validation is None else str(validation.absolute()),
        base_model=settings.base_model,
        max_length=settings.max_model_len,
        seconds=_HOUR,
    )
    child = subprocess.run(
        [sys.executable, "-m", "registry.inspection"],
        input=msgspec.json.encode(request) + b"\n",
        env=environment_of(settings),
        stdout=subprocess.PIPE,
        check=False,
    )
    if child.returncode:
        fail(f"The process that looked at the file ended with status {child.returncode}.")
    report = checked(child.stdout, request).report
    if report is None:
        fail("The report has no content.")
    return report


def _write_page(report: Report, place: Path) -> None:
    from registry.inspection.page import render_page  # noqa: PLC0415 - with the others

    try:
        place.write_text(render_page(report), "utf-8")
    except OSError as exc:
        fail(f"The page cannot be written to '{place}' ({exc.strerror}).")


def _show(report: Report) -> None:
    console = Console(soft_wrap=True)
    console.print(f"[bold]{escape(report.file)}[/bold]: {report.rows:,} {escape(report.format)}")
    if report.tokens is None:
        console.print(f"Tokens: unknown. {escape(report.tokens_absent or '')}")
    else:
        told = ", ".join(f"{name} {value:,}" for name, value in report.tokens.percentiles.items())
        console.print(f"Tokens: {report.tokens.total:,}; by row {told}")
    if not report.findings:
        console.print("Nothing stands out.")
        return
    table = Table("", "finding", box=None, show_header=False)
    for finding in report.findings:
        table.add_row(finding.level, escape(finding.message))
    console.print(table)
