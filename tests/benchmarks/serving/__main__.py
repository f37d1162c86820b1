"""`python -m tests.benchmarks.serving`: the systems side by side in one run, one page.

It refuses to know how anything is measured.
"""

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks.serving import machine, report, steadiness
from tests.benchmarks.serving.check import check
from tests.benchmarks.serving.many import crowded, measure_many
from tests.benchmarks.serving.measure import FULL, QUICK, SHORT_ROUNDS, SHORT_SECONDS, Bench, Pace
from tests.benchmarks.serving.page import write_section
from tests.benchmarks.serving.results import Results
from tests.benchmarks.serving.systems import ALL, DIRECT, GRAFTLINE, relay, started
from tests.benchmarks.serving.upstream import running_upstream

PARTS = ("table", "tails", "first-token", "events", "memory", "many")
"""What can be measured, in order."""
BUILD = Path("build")
PEERS = BUILD / "peers"


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Short runs, one round; writes no page.")] = False,
    systems: Annotated[str, typer.Option(help="Which, besides the upstream alone.")] = ",".join(
        ALL[1:]
    ),
    only: Annotated[str, typer.Option(help="Which parts.")] = ",".join(PARTS),
    requests: Annotated[int, typer.Option(help="Requests of the memory part; 0: as usual.")] = 0,
    rounds: Annotated[int, typer.Option(help="Rounds; 0: as usual.")] = 0,
    write: Annotated[bool | None, typer.Option(help="Write docs/benchmarks.md.")] = None,
) -> None:
    """Measure Graftline beside its peers on one mock upstream, and print the tables."""
    chosen, parts = _words(systems, ALL), _words(only, PARTS)
    usual = QUICK if quick else FULL
    pace = replace(usual, requests=requests or usual.requests, rounds=rounds or usual.rounds)
    if shutil.which("wrk") is None:
        raise typer.BadParameter("wrk is missing; `make bench-serving` installs it")
    before = steadiness.look()
    results = Results()
    try:
        with tempfile.TemporaryDirectory(prefix="graftline-bench-") as folder:
            _measure(results, Path(folder), chosen, parts, pace)
    finally:  # what was measured before a fault is told all the same; the page stays as it is
        lines = [f"{machine.today()}. {_means(pace)}", *machine.describe(PEERS)]
        lines.append(steadiness.describe(before, steadiness.look()))
        text = report.serving_section(results, lines)
        typer.echo(text)
    if write or (write is None and not quick):
        write_section(report.SERVING, text)


def _measure(
    results: Results, folder: Path, chosen: list[str], parts: list[str], pace: Pace
) -> None:
    with ExitStack() as stack:
        upstream = stack.enter_context(running_upstream(folder))
        systems = [
            stack.enter_context(started(name, upstream, folder / name, PEERS.absolute()))
            for name in ALL
            if name in {DIRECT, *chosen}
        ]
        for system in systems:
            check(system)
        bench = Bench(systems, upstream, pace, _say)
        if "table" in parts:
            results.table = bench.table()
        if "tails" in parts:
            results.tails = bench.tails(results.table)
        if "first-token" in parts:
            results.first_token_ms = bench.first_tokens()
        if "events" in parts:
            results.wall_an_event_us = bench.wall_an_event()
            with relay(upstream, folder) as bare:
                check(bare)
                results.cpu_an_event_us = bench.cpu_an_event(bare)
        if GRAFTLINE in chosen:
            _measure_ours(folder, parts, bench, pace, results)


def _measure_ours(
    folder: Path, parts: list[str], bench: Bench, pace: Pace, results: Results
) -> None:
    if "memory" in parts:
        results.memory = bench.memory(GRAFTLINE)
    if "many" in parts:
        with crowded(folder / "many") as (many, upstream):
            results.many = measure_many(bench.system(GRAFTLINE), many, upstream, pace)


def _words(text: str, known: tuple[str, ...]) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"'{word}' is none of {', '.join(known)}")
    return words


def _means(pace: Pace) -> str:
    return (
        f"Median of {pace.rounds} rounds of {pace.seconds} s each, at half of the peak of "
        f"{SHORT_ROUNDS * pace.rounds} of {SHORT_SECONDS} s, one worker each."
    )


def _say(text: str) -> None:
    typer.echo(text, err=True)


if __name__ == "__main__":
    typer.run(main)
