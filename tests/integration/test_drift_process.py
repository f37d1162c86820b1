"""Drift from end to end: a real service is asked, a real evals process compares, both are read.

The engine is a fake, so that it is quick; everything else is real.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from registry.settings import child_environment
from tests.fakes.vllm import FakeVllm
from tests.processes import free_ports
from tests.serving import BASE, CHAT
from tests.unit.evals import setting
from tests.watched_service import ServiceProcess, service_process

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = 50
CHECKOUT = Path(__file__).parent.parent.parent
DRIFT = "/v1/deployments/support/drift"
SECONDS = 120.0
"""Longest time to wait for what a busy machine does late."""


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """Run a service with a deployment, and small samples for drift."""
    vllm = FakeVllm(base=BASE)
    await vllm.start()
    samples = {"drift_reference_rows": ROWS, "drift_window_rows": ROWS, "drift_min_rows": ROWS}
    port = free_ports(1)[0]
    async with service_process(tmp_path, vllm.url, evals_port=port, **samples) as running:
        body = {"name": "support", "stable": BASE}
        async with running.client.post("/v1/deployments", json=body) as answer:
            assert answer.status == 200, await answer.text()
        yield running
    await vllm.stop()


@asynccontextmanager
async def exams(service: ServiceProcess) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the evals process; kill it at the end, as a crash would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evals", env=child_environment(service.settings), cwd=CHECKOUT
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def ask(service: ServiceProcess, words: str, count: int) -> None:
    """Ask the deployment, and wait until every request is in the store."""
    before = (await service.metrics()).get("graftline_interactions_total", 0.0)
    for number in range(count):
        body = {
            "model": "support",
            "messages": [{"role": "user", "content": f"{words} {number}"}],
        }
        async with service.client.post(CHAT, json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def are_stored() -> bool:
        return (await service.metrics())["graftline_interactions_total"] == before + count

    await setting.until(are_stored, SECONDS)


async def read(service: ServiceProcess) -> dict[str, Any]:
    """Return what the API tells of the stable version's drift."""
    async with service.client.get(DRIFT) as answer:
        assert answer.status == 200, await answer.text()
        (version,) = (await answer.json())["data"]
    return dict(version)


async def gauges(service: ServiceProcess) -> dict[str, float]:
    """Return what Prometheus would read of the size of requests; nothing while nobody answers."""
    url = f"http://127.0.0.1:{service.settings.evals_port}/metrics"
    try:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            text = await answer.text()
    except aiohttp.ClientError:
        return {}
    return {
        f"{sample.name} {sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("graftline_drift_")
    }


async def test_longer_requests_are_found_and_outlive_a_kill(service: ServiceProcess) -> None:
    """The API tells it, the gauges show it, and a killed process shows the same when it is back."""

    async def is_computed() -> bool:
        return (await read(service))["state"] is not None

    async def is_shown() -> bool:
        return bool(await gauges(service))

    await ask(service, "where is my parcel", ROWS)
    await ask(service, "where is my parcel " * 20, ROWS)
    async with exams(service):
        await setting.until(is_computed, SECONDS)
        await setting.until(is_shown, SECONDS)
        first = await gauges(service)
    found = await read(service)
    features = {each["feature"]: each for each in found["features"]}
    assert found["state"] == "act"
    assert (found["reference"]["rows"], found["window"]["rows"]) == (ROWS, ROWS)
    assert features["body_bytes"]["state"] == "act"
    assert features["status"]["state"] == "steady"
    assert features["temperature"]["state"] == "too_few"
    async with exams(service):
        await setting.until(is_shown, SECONDS)
        assert await gauges(service) == first
    assert await read(service) == found
