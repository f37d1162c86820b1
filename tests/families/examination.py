"""One family's way from a random base to a version that the real vLLM serves, or refuses.

It refuses to judge: it tells what was seen.
"""

import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from registry.lifecycle import AdapterStatus, JobStatus
from registry.records import AdapterVersion
from tests.integration.trainer_bench import TrainerBench, trainer_bench
from tests.serving import Serving, service_over
from tests.vllm_server import VllmServer

ROWS = 44
STEPS = {"n_epochs": 4, "batch_size": 8}
"""20 steps on the rows that are left to train on."""
CONTEXT = 256
PATIENCE_SECONDS = 600.0
"""Longest time of the training, and of the examination: the machine may be busy."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What became of a family's adapter."""

    version: AdapterVersion
    """Its record, once it was examined on the engine."""
    targets: list[str]
    """The layers it adapts, as PEFT names them."""


def write_base(family: str, folder: Path) -> Path:
    """Write a family's base model and return its folder."""
    base = folder / family
    command = [sys.executable, "-m", "tests.families.bases", family, str(base)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return base


async def examine(family: str, folder: Path) -> Seen:
    """Train a family's adapter, publish it, and have it loaded and probed by the real vLLM.

    Raises:
        RuntimeError: vLLM does not start with this model, or dies; its words are in it.
    """
    base = write_base(family, folder)
    async with trainer_bench(folder / "data", base) as bench:
        name = await _train(bench)
        server = VllmServer(folder / "vllm.log", base_model=str(base), max_model_len=CONTEXT)
        try:
            server.start()
            settings = bench.settings.model_copy(
                update={"engine_url": server.url, "reconcile_seconds": 0.1}
            )
            async with service_over([], settings) as running:
                version = await running.services.store.adapters.get(name)
                if version.status is AdapterStatus.PUBLISHED:
                    await _settled(running, name, server)
                version = await running.services.store.adapters.get(name)
        finally:
            server.kill()
        config = json.loads(
            (bench.settings.adapters_dir / version.directory / "adapter_config.json").read_bytes()
        )
    return Seen(version=version, targets=config["target_modules"])


async def _train(bench: TrainerBench) -> str:
    await bench.add_job(ROWS, STEPS)
    bench.start()
    job = await bench.until_over(PATIENCE_SECONDS)
    assert job.status is JobStatus.SUCCEEDED, job.error
    bench.stop()
    return str(job.fine_tuned_model)


async def _settled(running: Serving, name: str, server: VllmServer) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            server.require_alive()
            version = await running.services.store.adapters.get(name)
            if version.status is not AdapterStatus.PUBLISHED:
                return
            await running.passed()
