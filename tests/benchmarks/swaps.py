"""`python -m tests.benchmarks.swaps`: pauses in streams while versions are promoted, and without.

It refuses to judge answers: `tests/integration/test_swaps.py` does, with the same clients.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.benchmarks.serving import machine
from tests.benchmarks.serving.page import write_section
from tests.integration.markers import MarkerForge
from tests.integration.test_swaps import (
    CLIENTS,
    NAME,
    PAUSE_SECONDS,
    TOKENS,
    Tally,
    clients,
    publish,
    swap,
    version_of,
)
from tests.serving import serving
from tests.vllm_server import running_vllm

SECTION = "Swaps"


def main(
    *,
    swaps: Annotated[int, typer.Option(help="Promotions; the run without takes as long.")] = 30,
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Stream to many clients, without promotions and with one every two seconds."""
    with tempfile.TemporaryDirectory(prefix="graftline-bench-") as name:
        folder = Path(name)
        with running_vllm(folder / "vllm.log") as engine:
            without, swapped = asyncio.run(_both(folder, engine.url, swaps))
    text = _page(without, swapped, swaps)
    typer.echo(text)
    if write:
        write_section(SECTION, text)


async def _both(folder: Path, engine_url: str, swaps: int) -> tuple[Tally, Tally]:
    forge = MarkerForge()
    markers = forge.markers(swaps + 1)
    words = {version_of(marker): marker.text for marker in markers}
    without, swapped = Tally(), Tally()
    async with serving(folder, engine_url=engine_url, request_deadline_seconds=120.0) as running:
        await publish(running, forge, markers[0])
        await running.deploy(NAME, version_of(markers[0]))
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(swaps * PAUSE_SECONDS, over.set)
        await clients(running, words, without, over)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(clients(running, words, swapped, over))
            await swap(running, forge, markers[1:])
            over.set()
    return without, swapped


def _page(without: Tally, swapped: Tally, swaps: int) -> str:
    seconds = f"{swaps * PAUSE_SECONDS:.0f} s"
    told = (
        f"{machine.today()}. {CLIENTS} clients stream answers of {TOKENS} tokens from adapters of "
        f"the tiny base model on the real vLLM: {seconds} without a promotion, then {swaps} "
        f"promotions, one every {PAUSE_SECONDS:.0f} s, each of a version loaded and examined first."
    )
    parts = [
        told,
        *machine.describe(),
        "",
        "| | answers | versions | faults | pause p50 ms | p99 ms | worst ms |",
        "|---|---|---|---|---|---|---|",
        _row("without promotions", without),
        _row("with promotions", swapped),
    ]
    ratio = swapped.pause(100) / without.pause(100)
    parts += ["", f"Worst pause with promotions to that without: {ratio:.2f} (required: ≤ 2)."]
    return "\n".join(parts) + "\n"


def _row(name: str, seen: Tally) -> str:
    pauses = " | ".join(f"{1000 * seen.pause(share):.1f}" for share in (50, 99, 100))
    answers = f"{sum(seen.answers.values()):,} | {len(seen.answers)} | {len(seen.faults)}"
    return f"| {name} | {answers} | {pauses} |"


if __name__ == "__main__":
    typer.run(main)
