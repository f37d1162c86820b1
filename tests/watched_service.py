"""`python -m service` as a process of its own, and what can be measured of it from outside.

It refuses to know what is tested on it.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from registry.settings import Settings, child_environment
from tests.processes import free_ports
from tests.serving import BASE, CHAT, settings_for

START_SECONDS = 60.0
_POLL_SECONDS = 0.05
_MIB = 1024 * 1024
IN_USE = (
    "graftline_tasks",
    "graftline_in_flight_requests",
    "graftline_admitted_requests",
    "graftline_queued_requests",
    "graftline_replica_requests",
)
"""Metrics that say what the service holds at the moment."""


@dataclass(frozen=True)
class ServiceProcess:
    """A running service."""

    settings: Settings
    """Its settings."""
    process: psutil.Process
    """Its process."""
    client: aiohttp.ClientSession
    """A client with the admin key."""
    log: Path
    """What it prints."""

    @property
    def key(self) -> str:
        """The admin key."""
        return self.settings.admin_key_file.read_text().strip()

    async def chat(self, model: str = BASE, **fields: Any) -> tuple[int, bytes, Mapping[str, str]]:
        """Ask; return the status, the body and the headers."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        async with self.client.post(CHAT, json=body) as answer:
            return answer.status, await answer.read(), answer.headers

    async def metric(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        return (await self.metrics())[name]

    async def metrics(self) -> dict[str, float]:
        """Return the sum of each metric's samples."""
        async with self.client.get("/metrics", headers={"connection": "close"}) as answer:
            text = await answer.text()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found

    async def in_use(self) -> dict[str, float]:
        """Return what it holds: tasks, requests, places and sockets."""
        metrics = await self.metrics()
        found = {name: metrics.get(name, 0.0) for name in IN_USE}
        found["sockets"] = float(len(self.process.net_connections()))
        return found

    def resident_mib(self) -> float:
        """Return its memory, in MiB."""
        return float(self.process.memory_info().rss) / _MIB


@asynccontextmanager
async def service_process(
    folder: Path, engine_url: str, **changes: Any
) -> AsyncIterator[ServiceProcess]:
    """Run a service over an engine for the length of a block."""
    settings = settings_for(folder, engine_url, port=free_ports(1)[0], **changes)
    log = folder / "service.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "service",
            env=child_environment(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        await _wait_until_ready(settings, process)
        headers = {"Authorization": f"Bearer {settings.admin_key_file.read_text().strip()}"}
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(
            settings.service_url, headers=headers, timeout=timeout
        ) as client:
            yield ServiceProcess(settings, psutil.Process(process.pid), client, log)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _wait_until_ready(settings: Settings, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession() as client:
        while process.returncode is None:
            with suppress(aiohttp.ClientError):
                async with client.get(f"{settings.service_url}/health/ready") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(_POLL_SECONDS)
    raise AssertionError(f"the service ended; see {settings.data_dir.parent / 'service.log'}")
