"""`python -m tests.benchmarks.serving.engine`: through the service and without it, on a real vLLM.

It refuses to know how load is made. Both are asked for the same answers by the same clients.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks.serving import machine, report
from tests.benchmarks.serving.figures import Load, median_of
from tests.benchmarks.serving.load import Shape, closed
from tests.benchmarks.serving.page import write_section
from tests.benchmarks.serving.systems import DIRECT, System, graftline
from tests.benchmarks.serving.upstream import BASE
from tests.vllm_server import running_vllm

CONNECTIONS = 16
TOKENS = 32
"""Tokens of each answer."""
_LEAST_SHARE = 0.95


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Short runs; writes no page.")] = False,
    rounds: Annotated[int, typer.Option(help="Turns of each; the median counts.")] = 5,
    write: Annotated[bool | None, typer.Option(help="Write docs/benchmarks.md.")] = None,
) -> None:
    """Measure throughput through Graftline beside the bare engine, and print the table."""
    seconds, turns = (5, 2) if quick else (15, rounds)
    with tempfile.TemporaryDirectory(prefix="graftline-bench-") as name:
        folder = Path(name)
        with (
            running_vllm(folder / "vllm.log") as engine,
            graftline(engine.url, folder, served=0, known=0) as service,
        ):
            bare = System(name=DIRECT, url=engine.url, key="none", model=BASE, pid=None)
            text = _compared(bare, service, seconds, turns)
    typer.echo(text)
    if write or (write is None and not quick):
        write_section(report.ENGINE, text)


def _compared(bare: System, service: System, seconds: int, turns: int) -> str:
    parts = [f"{machine.today()}. Median of {turns} turns of {seconds} s each, in alternation."]
    parts[0] += f" {CONNECTIONS} connections, the tiny base model, {TOKENS} tokens each answer."
    requirements: list[report.Requirement] = []
    rows: list[tuple[str, Load]] = []
    for kind, shape in _SHAPES.items():
        for system in (bare, service):
            closed(system, shape, connections=CONNECTIONS, seconds=seconds)
        pairs = [
            [closed(one, shape, connections=CONNECTIONS, seconds=seconds) for one in order]
            for order in [(bare, service)] * turns
        ]
        without, through = (median_of(loads) for loads in zip(*pairs, strict=True))
        sound = without.is_valid and through.is_valid
        rows += [(f"{kind}, {DIRECT}", without), (f"{kind}, through Graftline", through)]
        requirements.append(
            report.Requirement(
                what=f"requests/s through Graftline to those without, {kind}",
                seen=through.per_second / without.per_second if sound else None,
                limit=_LEAST_SHARE,
                at_least=True,
            )
        )
    parts += machine.describe()
    table = report.rate_table(f"{CONNECTIONS} connections", rows)
    return "\n".join(parts) + f"\n\n{report.requirement_table(requirements)}\n\n{table}\n"


_WHOLE_LENGTH = {"ignore_eos": True}
"""Every answer has all its tokens, so that both sides do the same work."""
_SHAPES = {
    "plain": Shape(events=TOKENS, more=_WHOLE_LENGTH),
    "streamed": Shape(events=TOKENS, stream=True, more=_WHOLE_LENGTH),
}


if __name__ == "__main__":
    typer.run(main)
