"""`python -m tests.benchmarks.drift`: seconds of each drift statistic on many rows.

It refuses to judge the figures: the tests do.
"""

import os
import resource
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import numpy as np
import typer

from evals.drift.bins import count, edges_of
from evals.drift.divergence import jensen_shannon, psi
from evals.drift.numbers import kolmogorov_smirnov
from evals.drift.separation import FOLDS, separate
from registry.records import Record
from tests.benchmarks.serving import machine
from tests.benchmarks.serving.page import write_section

SECTION = "Drift"
WIDTH = 384
"""Features of a row of the classifier's."""
_SEED = 7


class Timing(Record, frozen=True, kw_only=True):
    """How long one thing took."""

    what: str
    """What was computed."""
    seconds: list[float]
    """Of each repetition, by the clock."""
    processor_seconds: list[float]
    """Of each repetition, on all cores together."""
    known: str
    """What a prototype took."""


def main(
    *,
    rows: Annotated[int, typer.Option(help="Rows of each side, one column.")] = 1_000_000,
    texts: Annotated[int, typer.Option(help="Rows of the classifier, both sides.")] = 20_000,
    repeats: Annotated[int, typer.Option(help="Repetitions; the median is told.")] = 5,
    beside: Annotated[str, typer.Option(help="What else ran, in words.")] = "nothing that we know",
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Draw rows, time every statistic, and tell what it took."""
    load = os.getloadavg()[0]
    draw = np.random.default_rng(_SEED)
    timings = [*_numbers(draw, rows, repeats), _classifier(draw, texts, repeats)]
    text = _page(timings, rows=rows, texts=texts, repeats=repeats, load=load, beside=beside)
    typer.echo(text)
    if write:
        write_section(SECTION, text)


def _numbers(draw: np.random.Generator, rows: int, repeats: int) -> list[Timing]:
    before, now = draw.normal(size=rows), draw.normal(0.1, size=rows)
    edges = edges_of(before)
    reference = count(before, edges)
    return [
        _timing("fixing the bins on the reference", repeats, lambda: edges_of(before)),
        _timing(
            "PSI with its interval, bins fixed",
            repeats,
            lambda: psi(reference, count(now, edges)).bounds(),
            "19 ms",
        ),
        _timing(
            "Jensen–Shannon with its interval, both sides counted",
            repeats,
            lambda: jensen_shannon(count(before, edges), count(now, edges)).bounds(),
            "25 ms",
        ),
        _timing(
            "Kolmogorov–Smirnov (scipy)",
            repeats,
            lambda: kolmogorov_smirnov(before, now),
            "522 ms",
        ),
    ]


def _classifier(draw: np.random.Generator, rows: int, repeats: int) -> Timing:
    features = draw.normal(size=(rows, WIDTH))
    is_window = np.arange(rows) >= rows // 2
    features[is_window, 0] += 0.5
    what = f"classifier on {rows:,} × {WIDTH}, {FOLDS} folds, with its interval"
    return _timing(what, repeats, lambda: separate(features, is_window), "460 ms")


def _timing(what: str, repeats: int, compute: Callable[[], object], known: str = "–") -> Timing:
    seconds, processor_seconds = [], []
    for _ in range(repeats):
        started, spent = time.perf_counter(), time.process_time()
        compute()
        seconds.append(time.perf_counter() - started)
        processor_seconds.append(time.process_time() - spent)
    return Timing(what=what, seconds=seconds, processor_seconds=processor_seconds, known=known)


def _page(
    timings: list[Timing], *, rows: int, texts: int, repeats: int, load: float, beside: str
) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = (
        f"{machine.today()}. Each statistic on its own, {repeats} times in one process; "
        f"{rows:,} against {rows:,} rows of one column of normal numbers, the window 0.1 "
        f"deviations higher; the classifier on {texts:,} rows in all. Beside it ran: {beside}. "
        f"Processes that wanted a core when it began: {load:.1f}. Peak memory of the process: "
        f"{peak:.0f} MB. The last column is a prototype's, on another machine that did nothing "
        f"else. With {versions}."
    )
    lines = [
        told,
        *machine.describe(),
        "",
        "| what | median, ms | least, ms | most, ms | processor, median, ms | prototype, ms |",
        "|---|---|---|---|---|---|",
        *(_line(each) for each in timings),
    ]
    return "\n".join(lines) + "\n"


def _line(timing: Timing) -> str:
    figures = (
        statistics.median(timing.seconds),
        min(timing.seconds),
        max(timing.seconds),
        statistics.median(timing.processor_seconds),
    )
    told = " | ".join(f"{1000 * figure:.1f}" for figure in figures)
    known = timing.known.removesuffix(" ms")
    return f"| {timing.what} | {told} | {known} |"


if __name__ == "__main__":
    typer.run(main)
