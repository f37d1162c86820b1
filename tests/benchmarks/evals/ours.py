"""One evaluation by the real evals process, from the start of the process to the stored verdict.

It refuses to know the peer.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from anyio import Path as AsyncPath

from registry.artifacts import ProbeRow
from registry.lifecycle import AdapterStatus
from registry.records import Record
from registry.settings import Settings, child_environment
from tests.serving import Serving
from tests.vllm_server import free_port, write_adapter

_POLL_SECONDS = 0.1
_ROW = ProbeRow(
    token_ids=[5, 6, 7, 8, 9, 10], target_start=2, base_logprobs=[], adapter_logprobs=[]
)


class Run(Record, frozen=True, kw_only=True):
    """One evaluation."""

    seconds: float
    """From the start of the evals process to the stored verdict."""
    asking_seconds: float
    """Of them, from the first question to the verdict."""
    answers: int
    """Answers of all arms."""
    cached: int
    """Of them, taken from an earlier evaluation."""


async def publish(running: Serving, name: str, seed: int) -> str:
    """Publish an adapter with random weights, and have it loaded and examined."""
    write_adapter(running.settings.work_dir / name.replace(":", "-"), seed=seed)
    await running.publish(name, probe=_ROW)
    await running.until(name, AdapterStatus.READY)
    return name


async def upload(running: Serving, rows: Path) -> str:
    """Upload rows and return the file's id."""
    form = aiohttp.FormData({"purpose": "evals"})
    form.add_field("file", await AsyncPath(rows).read_bytes(), filename=rows.name)
    return str((await _call(running, "POST", "/v1/files", data=form))["id"])


async def evaluate(running: Serving, log: Path, **request: Any) -> Run:
    """Ask for an evaluation, start the evals process, and wait for the verdict."""
    made = await _call(running, "POST", "/v1/evaluations", json=request)
    began = time.monotonic()
    async with _evals(running.settings, running.port, log):
        found = made
        while found["status"] in {"queued", "running"}:
            await asyncio.sleep(_POLL_SECONDS)
            found = await _call(running, "GET", f"/v1/evaluations/{made['id']}")
    if found["status"] != "succeeded":
        told = await AsyncPath(log).read_text()
        raise RuntimeError(f"the evaluation {found['status']}: {found['error']}\n{told}")
    arms: Sequence[dict[str, Any]] = list(found["results"]["arms"].values())
    return Run(
        seconds=time.monotonic() - began,
        asking_seconds=found["results"]["duration_seconds"],
        answers=sum(arm["n"] - arm["unscored"] for arm in arms),
        cached=found["results"]["cached_answers"],
    )


@asynccontextmanager
async def _evals(settings: Settings, port: int, log: Path) -> AsyncIterator[None]:
    """Run the evals process for the length of a block."""
    chosen = settings.model_copy(update={"port": port, "evals_port": free_port()})
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "evals",
            env=child_environment(chosen),
            stdout=output,
            stderr=output,
        )
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


async def _call(running: Serving, method: str, path: str, **options: Any) -> dict[str, Any]:
    async with running.client.request(method, path, **options) as response:
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {await response.text()}")
        found: dict[str, Any] = await response.json()
        return found
