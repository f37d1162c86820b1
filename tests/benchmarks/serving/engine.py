"""`python -m tests.benchmarks.serving.engine`: through the service and without it, on a real vLLM.

It refuses to know how load is made. Both are asked for the same answers by the same clients.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks.serving import machine, report
from tests.benchmarks.serving.figures import Load, median_of, ratio_of
from tests.benchmarks.serving.load import Shape, closed
from tests.benchmarks.serving.page import write_section
from tests.benchmarks.serving.systems import DIRECT, System, graftline
from tests.benchmarks.serving.upstream import BASE
from tests.vllm_server import running_vllm

CONNECTIONS = 16
TOKENS = 32
"""Tokens of each answer."""
TURN_SECONDS = 3
"""Length of a turn. The engine's speed follows the machine's, which changes within seconds: the
ratio of two neighbours varies as much with turns of 2 s as of 4 s, so there are many short ones."""
_FEW_TURNS = 4
_LEAST_SHARE = 0.95


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Short runs; writes no page.")] = False,
    rounds: Annotated[int, typer.Option(min=2, help="Turns of each; all of them count.")] = 60,
    write: Annotated[bool | None, typer.Option(help="Write docs/benchmarks.md.")] = None,
) -> None:
    """Measure throughput through Graftline beside the bare engine, and print the table."""
    turns = _FEW_TURNS if quick else rounds
    with tempfile.TemporaryDirectory(prefix="graftline-bench-") as name:
        folder = Path(name)
        with (
            running_vllm(folder / "vllm.log") as engine,
            graftline(engine.url, folder, served=0, known=0) as service,
        ):
            bare = System(name=DIRECT, url=engine.url, key="none", model=BASE, pid=None)
            text = _compared(bare, service, turns)
    typer.echo(text)
    if write or (write is None and not quick):
        write_section(report.ENGINE, text)


def _compared(bare: System, service: System, turns: int) -> str:
    how = (
        f"{machine.today()}. {turns} turns of {TURN_SECONDS} s each, in alternation, each "
        f"first by turns. {CONNECTIONS} connections, the tiny base model, {TOKENS} "
        "tokens each answer. The ratio is of all answers, with its 95 % bootstrap interval over "
        "the pairs; the rows are medians of the turns."
    )
    parts = [how]
    requirements: list[report.Requirement] = []
    rows: list[tuple[str, Load]] = []
    for kind, shape in _SHAPES.items():
        loads = _in_turn((bare, service), shape, turns)
        without, through = (median_of(each) for each in loads)
        is_sound = all(load.is_valid for side in loads for load in side)
        ratio = ratio_of(*loads) if is_sound else None
        interval = "" if ratio is None else f" {ratio.interval}"
        rows += [(f"{kind}, {DIRECT}", without), (f"{kind}, through Graftline", through)]
        requirements.append(
            report.Requirement(
                what=f"requests/s through Graftline to those without, {kind}{interval}",
                seen=None if ratio is None else ratio.seen,
                limit=_LEAST_SHARE,
                at_least=True,
            )
        )
    parts += machine.describe()
    table = report.rate_table(f"{CONNECTIONS} connections", rows)
    return "\n".join(parts) + f"\n\n{report.requirement_table(requirements)}\n\n{table}\n"


def _in_turn(systems: tuple[System, System], shape: Shape, turns: int) -> list[list[Load]]:
    """Return each system's loads; of a pair each goes first by turns."""
    found: dict[str, list[Load]] = {system.name: [] for system in systems}
    for turn in range(-1, turns):
        for system in systems if turn % 2 else reversed(systems):
            load = closed(system, shape, connections=CONNECTIONS, seconds=TURN_SECONDS)
            if turn >= 0:  # the one before warms up
                found[system.name].append(load)
    return list(found.values())


_WHOLE_LENGTH = {"ignore_eos": True}
"""Every answer has all its tokens, so that both sides do the same work."""
_SHAPES = {
    "plain": Shape(events=TOKENS, more=_WHOLE_LENGTH),
    "streamed": Shape(events=TOKENS, stream=True, more=_WHOLE_LENGTH),
}


if __name__ == "__main__":
    typer.run(main)
