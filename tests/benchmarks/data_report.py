"""`python -m tests.benchmarks.data_report`: seconds and memory of a report on many rows.

It refuses to judge the report: the tests do.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from registry.inspection.request import Answer, Request
from registry.settings import Settings, embedded_base
from service.inspector import environment_of
from tests.benchmarks.serving import machine
from tests.benchmarks.serving.page import write_section
from tests.unit.inspection.sentences import row_of

SECTION = "Data report"
LIMIT_SECONDS = 60
"""Longest time for 100,000 rows."""
LIMIT_MB = 1_000
"""Most memory for them."""
_SEED = 7
EXAMPLES = Path("examples") / "triage" / "train.jsonl"
"""Where the words come from."""


def main(
    *,
    rows: Annotated[int, typer.Option(help="Training rows.")] = 100_000,
    validation_rows: Annotated[int, typer.Option(help="Validation rows.")] = 1_000,
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Make rows, report on them in a child as the service does, and tell what it took."""
    with tempfile.TemporaryDirectory(prefix="graftline-bench-") as name:
        training, validation = Path(name) / "train.jsonl", Path(name) / "valid.jsonl"
        _write_rows(training, rows, "training")
        _write_rows(validation, validation_rows, "validation")
        request = Request(
            path=str(training),
            validation_path=str(validation),
            base_model=str(embedded_base()),
            max_length=2048,
            seconds=3600,
        )
        load = os.getloadavg()[0]
        started = time.monotonic()
        child = subprocess.run(
            [sys.executable, "-m", "registry.inspection"],
            input=msgspec.json.encode(request) + b"\n",
            env=environment_of(Settings()),
            stdout=subprocess.PIPE,
            check=True,
        )
        seconds = time.monotonic() - started
        size = training.stat().st_size
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    report = msgspec.json.decode(child.stdout, type=Answer).report
    if report is None or report.tokens is None or report.rows != rows:
        sys.exit("the report is not whole")
    text = _page(
        rows=rows,
        size=size,
        tokens=report.tokens.total,
        seconds=seconds,
        cpu=usage.ru_utime + usage.ru_stime,
        megabytes=usage.ru_maxrss / 1024,
        load=load,
    )
    typer.echo(text)
    if write:
        write_section(SECTION, text)


def _write_rows(path: Path, count: int, side: str) -> None:
    generator = random.Random(f"{_SEED}:{side}")  # noqa: S311 - test data
    words = _words()
    with path.open("w", encoding="utf-8") as stream:
        for _ in range(count):
            stream.write(json.dumps(row_of(generator, words)) + "\n")


def _words() -> list[str]:
    """Return the words of the example tickets, as often as they stand there."""
    rows = map(json.loads, EXAMPLES.read_text("utf-8").splitlines())
    return [word for row in rows for word in row["messages"][0]["content"].split()]


def _page(
    *, rows: int, size: int, tokens: int, seconds: float, cpu: float, megabytes: float, load: float
) -> str:
    verdict = "met" if seconds <= LIMIT_SECONDS and megabytes <= LIMIT_MB else "missed"
    told = (
        f"{machine.today()}. One run of the whole report, beside validation rows, in a child as "
        f"the service runs it: {rows:,} chat rows of words drawn from the example "
        f"tickets, {size / 1e6:.0f} MB, {tokens:,} "
        "tokens of the tiny base model's tokenizer. Start and imports are part of it. Processes "
        f"that wanted a core when it began: {load:.1f}; the child yields to them (niceness 10)."
    )
    lines = [
        told,
        *machine.describe(),
        "",
        "| rows | seconds | processor seconds | peak memory, MB | required |  |",
        "|---|---|---|---|---|---|",
        (
            f"| {rows:,} | {seconds:.1f} | {cpu:.1f} | {megabytes:.0f} | ≤ {LIMIT_SECONDS} s, "
            f"≤ {LIMIT_MB:,} MB for 100,000 | {verdict} |"
        ),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    typer.run(main)
