"""`python -m tests.benchmarks.training`: our job beside a plain script with trl's SFTTrainer.

It refuses to know how either trains.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from registry.chatdata import Row
from registry.settings import Settings
from registry.training_options import TrainingOptions
from tests.benchmarks.serving import machine
from tests.benchmarks.serving.page import write_section
from tests.benchmarks.training import material
from tests.benchmarks.training.figures import Figures, middle, run
from tests.integration.trainer_bench import JOB, trainer_bench
from trainer.plan import Hyperparameters
from trainer.protocol import Plan
from trainer.supervision import child_variables
from trainer.workplace import Workplace

SECTION = "Training"
PEER = Path("build") / "trl"
PLAIN, PADDED, PACKED = "plain SFTTrainer", "Graftline, padded", "Graftline, packed"


def main(
    *,
    rows: Annotated[int, typer.Option(help="Rows to train on.")] = 640,
    turns: Annotated[int, typer.Option(help="Runs of each, in alternation.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of each; 0 leaves it to PyTorch.")] = 0,
    note: Annotated[str, typer.Option(help="A sentence about the conditions.")] = "",
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Train the same rows with both, in alternation, and measure the way to the first step."""
    with tempfile.TemporaryDirectory(prefix="graftline-bench-") as name:
        folder = Path(name)
        weights = material.write_base(folder / "base")
        material.write_rows(folder / "rows.jsonl", rows)
        found: dict[str, list[Figures]] = {PLAIN: [], PADDED: [], PACKED: []}
        for turn in range(turns):
            for system, runs in found.items():
                runs.append(_measure(folder, system, turn, threads))
                typer.echo(f"{system}: {runs[-1]}")
        overhead = asyncio.run(_way_to_first_step(folder)) - _seconds_to_import()
    seen = {system: middle(runs) for system, runs in found.items()}
    text = _page(seen, overhead, f"{weights / 1e6:.1f}", rows, turns, note)
    typer.echo(text)
    if write:
        write_section(SECTION, text)


def _measure(folder: Path, system: str, turn: int, threads: int) -> Figures:
    log = folder / f"{turn}-{system.replace(' ', '')}.log"
    variables = dict(child_variables(Settings(base_model=str(folder / "base"))))
    if system == PLAIN:
        # The library's own: without our threads' settings, and from a folder of its own.
        variables = {**os.environ, "HF_HUB_OFFLINE": "1"}  # noqa: TID251 - a process of its own
        variables["PYTHONPATH"] = str(PEER.absolute())
        module = [
            "tests.benchmarks.training.plain",
            str(folder / "base"),
            str(folder / "rows.jsonl"),
        ]
    else:
        job = folder / f"job-{turn}-{system == PACKED}"
        _write_job(job, folder, packing=system == PACKED)
        module = ["tests.benchmarks.training.ours", str(job)]
    if threads:
        variables["OMP_NUM_THREADS"] = str(threads)
    return run([sys.executable, "-m", *module], log, variables)


def _write_job(job: Path, folder: Path, *, packing: bool) -> None:
    place = Workplace(job)
    job.mkdir()
    lines = (folder / "rows.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line, type=dict[str, Any]) for line in lines]
    content = [Row(line=number, **row) for number, row in enumerate(rows, start=1)]
    place.training.write_bytes(msgspec.json.Encoder().encode_lines(content))
    plan = Plan(
        job_id=JOB,
        base_model=str(folder / "base"),
        base_name="bench",
        seed=3,
        hyperparameters=Hyperparameters(
            n_epochs=material.EPOCHS,
            batch_size=material.BATCH,
            learning_rate_multiplier=1.0,
            learning_rate=material.LEARNING_RATE,
            lora_rank=material.RANK,
            lora_alpha=2 * material.RANK,
        ),
        options=TrainingOptions(packing=packing),
        max_length=material.MAX_LENGTH,
        checkpoint_steps=10_000,
        training_file="file-training",
        training_sha256="0",
        heldout_file=None,
        heldout_sha256=None,
    )
    place.plan.write_bytes(msgspec.json.encode(plan))


def _seconds_to_import() -> float:
    """Return the time that importing the training libraries takes."""
    started_at = time.monotonic()
    subprocess.run([sys.executable, "-c", "import trainer.finetune"], check=True)
    return time.monotonic() - started_at


async def _way_to_first_step(folder: Path) -> float:
    """Return the seconds from a job's creation to its first reported step."""
    async with trainer_bench(folder / "data", folder / "base") as bench:
        bench.start()
        log = folder / "data" / "trainer.log"
        await bench.until(lambda: "is ready" in log.read_text(), "a trainer that is ready")
        await bench.add_job(200, {"n_epochs": 3, "batch_size": 8})
        created_at = time.monotonic()
        while not await _has_stepped(bench.store):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)
        return time.monotonic() - created_at


async def _has_stepped(store: Any) -> bool:
    page = await store.jobs.events(JOB, after=None, limit=20)
    return any(event.type == "metrics" for event in page.data)


def _page(
    seen: dict[str, Figures], overhead: float, weights: str, rows: int, turns: int, note: str
) -> str:
    plain = seen[PLAIN]
    told = (
        f"{machine.today()}. A random Llama of {weights} million weights, {rows} rows of mixed "
        f"length (prompts of 4 to 120 words, most of them short), LoRA of rank {material.RANK} on "
        f"all linear layers, {material.BATCH} rows a step, the same precision; median of {turns} "
        f"runs of each in alternation, the first three steps left out. {note}".strip()
    )
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    parts = [
        told,
        machine.describe()[0],
        f"Versions: {versions}, trl 1.16.0.",
        "",
        "| | tokens/s | × plain | peak memory, MiB | × plain |",
        "|---|---|---|---|---|",
    ]
    for system, found in seen.items():
        speed = found.tokens_per_second / plain.tokens_per_second
        memory = found.memory_mib / plain.memory_mib
        parts.append(
            f"| {system} | {found.tokens_per_second:,.0f} | {speed:.2f} | "
            f"{found.memory_mib:,.0f} | {memory:.2f} |"
        )
    last = (
        "From a job's creation to its first reported step, beyond importing the libraries: "
        f"{overhead:.1f} s (required: ≤ 8). Required of the table: ≥ 1.0 × padded, ≥ 1.5 × packed, "
        "memory ≤ 1.05 ×."
    )
    parts += ["", last]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    typer.run(main)
