"""`python -m tests.benchmarks.evals`: our evaluations beside lm-eval, the cache, the statistics.

It refuses to judge models: the adapters have random weights.
"""

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from registry.records import Record
from tests.benchmarks.evals import material, ours, peer, statistics
from tests.benchmarks.serving import machine
from tests.benchmarks.serving.page import write_section
from tests.serving import Serving, serving
from tests.vllm_server import running_vllm

SECTION = "Evaluations"
CONCURRENCY = 32
"""Requests in flight, of both programs; ours is the default of `GRAFTLINE_EVALS_CONCURRENCY`."""
ADAPTERS = ("ft:tiny-base:default:bench:00000001", "ft:tiny-base:default:bench:00000002")
_MOST_OF_PEER = 0.6
_MOST_OF_FIRST = 0.5


class Figures(Record, frozen=True, kw_only=True):
    """What was measured on the engine."""

    mine: list[ours.Run]
    """Base and adapter: answers, scores and verdict, losses left out; one run a turn."""
    mine_whole: list[ours.Run]
    """The same with the losses, as an exam is by default."""
    theirs: list[float]
    """Seconds of lm-eval for base and adapter together, answers alone; one a turn."""
    theirs_whole: list[float]
    """The same with the log-probability of the targets."""
    first: ours.Run
    """An adapter with its base arms."""
    second: ours.Run
    """Another adapter on the same rows."""


def main(
    *,
    rows: Annotated[int, typer.Option(help="Rows of the comparison with lm-eval.")] = 1_000,
    turns: Annotated[int, typer.Option(help="Runs of each, in alternation.")] = 1,
    cache_rows: Annotated[int, typer.Option(help="Rows of the two adapters.")] = 300,
    engine: Annotated[bool, typer.Option(help="Measure on the engine.")] = True,
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Measure, print, and write the section."""
    load = os.getloadavg()[0]
    sums = statistics.measure()
    typer.echo(sums)
    if not engine:
        return
    with tempfile.TemporaryDirectory(prefix="graftline-bench-") as name:
        folder = Path(name)
        with running_vllm(folder / "vllm.log") as server:
            found = asyncio.run(_measured(folder, server.url, rows, turns, cache_rows))
    text = _page(found, sums, rows, cache_rows, load)
    typer.echo(text)
    if write:
        write_section(SECTION, text)


async def _measured(
    folder: Path, engine_url: str, rows: int, turns: int, cache_rows: int
) -> Figures:
    many = material.write(folder / "rows.jsonl", material.rows(rows))
    few = material.write(folder / "few.jsonl", material.rows(cache_rows))
    shown = material.write(folder / "shown.jsonl", material.rows(rows + 200)[rows:])
    mine: list[ours.Run] = []
    mine_whole: list[ours.Run] = []
    theirs: list[float] = []
    theirs_whole: list[float] = []
    async with serving(folder, engine_url=engine_url, request_deadline_seconds=300.0) as running:
        for seed, name in enumerate(ADAPTERS):
            await ours.publish(running, name, seed)
        heldout = await ours.upload(running, many)
        for _ in range(turns):
            theirs.append(await _theirs(folder, running, many, [peer.ANSWERS]))
            mine.append(await _pair(folder, running, heldout, rows, measure_loss=False))
            theirs_whole.append(await _theirs(folder, running, many, [peer.ANSWERS, peer.TARGETS]))
            mine_whole.append(await _pair(folder, running, heldout, rows, measure_loss=True))
        small, training = await ours.upload(running, few), await ours.upload(running, shown)
        first, second = [
            await ours.evaluate(
                running,
                folder / "evals.log",
                model=name,
                heldout_file=small,
                training_file=training,
                suites=[],
            )
            for name in ADAPTERS
        ]
    return Figures(
        mine=mine,
        mine_whole=mine_whole,
        theirs=theirs,
        theirs_whole=theirs_whole,
        first=first,
        second=second,
    )


async def _pair(
    folder: Path, running: Serving, heldout: str, rows: int, *, measure_loss: bool
) -> ours.Run:
    return await ours.evaluate(
        running,
        folder / "evals.log",
        model=ADAPTERS[0],
        heldout_file=heldout,
        arms=[],
        suites=[],
        measure_loss=measure_loss,
        use_cache=False,
        policy={"max_rows": rows},
    )


async def _theirs(folder: Path, running: Serving, rows: Path, tasks: Sequence[str]) -> float:
    """Return the seconds of lm-eval's runs for the base model and the adapter."""
    key = running.settings.admin_key_file.read_text().strip()
    return sum(
        [
            await peer.evaluate(
                folder,
                rows,
                url=f"http://127.0.0.1:{running.port}",
                key=key,
                model=model,
                tokens=material.answer_tokens(),
                concurrency=CONCURRENCY,
                tasks=tasks,
            )
            for model in ("tiny-base", ADAPTERS[0])
        ]
    )


def _page(found: Figures, sums: statistics.Cost, rows: int, cache_rows: int, load: float) -> str:
    best = min(found.mine, key=lambda run: run.seconds)
    mine, theirs = best.seconds, min(found.theirs)
    mine_whole = min(run.seconds for run in found.mine_whole)
    theirs_whole = min(found.theirs_whole)
    part = found.second.seconds / found.first.seconds
    told = (
        f"{machine.today()}. The real service over the real vLLM with the tiny base model; "
        f"adapters of random weights; {rows:,} rows of {material.PROMPT_WORDS} words, answers of "
        f"at most {material.answer_tokens()} tokens, temperature 0, {CONCURRENCY} requests in "
        f"flight for both; the best of {len(found.mine)} runs of each, in alternation. Times are "
        f"from the start of a process to its result; ours asked the first question after "
        f"{mine - best.asking_seconds:.1f} s. Processes that wanted a core when it began: "
        f"{load:.1f}. The statistics draw {statistics.RESAMPLES:,} resamples."
    )
    table = [
        ("lm-eval, base and adapter: generation, exact match", theirs, "–", ""),
        (
            "Graftline, the same, every metric, verdict, report (`measure_loss: false`)",
            mine,
            f"≤ {_MOST_OF_PEER} × lm-eval",
            f"{mine / theirs:.2f} ×",
        ),
        ("lm-eval, the same and the targets' log-probabilities", theirs_whole, "–", ""),
        (
            "Graftline, the same and the losses, as by default",
            mine_whole,
            "–",
            f"{mine_whole / theirs_whole:.2f} × like for like, {mine_whole / theirs:.2f} × without",
        ),
        (
            f"the first adapter on {cache_rows} rows: base, few-shot, adapter",
            found.first.seconds,
            "–",
            "",
        ),
        (
            f"the second adapter on the same rows, {found.second.cached} answers taken",
            found.second.seconds,
            f"≤ {_MOST_OF_FIRST} × the first",
            f"{part:.2f} ×",
        ),
        (
            f"scores and statistics: {statistics.ROWS:,} rows, two arms, {sums.metrics} metrics",
            sums.seconds,
            "≤ 5 s, ≤ 500 MB",
            _spent(sums),
        ),
    ]
    lines = [f"| {what} | {took:.1f} | {most} | {seen} |" for what, took, most, seen in table]
    head = ["| what | seconds | required | seen |", "|---|---|---|---|"]
    return "\n".join([told, *machine.describe(), "", *head, *lines, ""])


def _spent(sums: statistics.Cost) -> str:
    return (
        f"{sums.processor_seconds:.1f} s of the processor, {sums.peak_mb:.0f} MB "
        f"({sums.imports_mb:.0f} MB of them imports and rows)"
    )


if __name__ == "__main__":
    typer.run(main)
