"""The evals process as it is run: killed, started again, asked for its metrics, stopped.

The models are a fake service's, so that it is quick; everything else is real.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from registry.lifecycle import EvaluationStatus
from registry.records import Verdict
from registry.settings import Settings, child_environment
from registry.store import Store, open_store
from tests.fakes.fake_service import KEY, FakeService, serving
from tests.unit.evals import setting

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROWS = 60
ARMS = 3
CALLS = 2
CHECKOUT = Path(__file__).parent.parent.parent


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with ports that are free."""
    return Settings(data_dir=tmp_path / "data", port=_free_port(), evals_port=_free_port())


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Open a store with a queued evaluation and the key of the process."""
    opened = await open_store(settings)
    settings.evals_key_file.write_text(KEY)
    await setting.add_adapter(opened)
    await setting.add_file(opened, settings, setting.HELDOUT, map(setting.row, range(ROWS)))
    training = map(setting.row, range(1000, 1040))
    await setting.add_file(opened, settings, setting.TRAINING, training)
    await setting.add_evaluation(opened)
    yield opened
    await opened.close()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@asynccontextmanager
async def _process(settings: Settings) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run the process; kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evals", env=child_environment(settings), cwd=CHECKOUT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _metrics(settings: Settings) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{settings.evals_port}/metrics") as response,
    ):
        return await response.text()


def _figures(metrics: str) -> list[str]:
    """Return the samples that come from stored results."""
    return [line for line in metrics.splitlines() if line.startswith("graftline_evaluation_score")]


async def test_a_killed_process_resumes_and_exports(settings: Settings, store: Store) -> None:
    """Killed in the middle, it asks no stored row again; its figures outlive a restart."""
    service = FakeService(
        speak=setting.right_if(setting.ADAPTER), loss={setting.ADAPTER: 0.1}, seconds=0.02
    )

    async def is_half_done() -> bool:
        return len(await store.evaluations.rows("eval-1")) >= 40

    async def is_done() -> bool:
        return (await store.evaluations.get("eval-1")).status == EvaluationStatus.SUCCEEDED

    async def is_quiet() -> bool:
        return not service.in_flight

    async def is_shown() -> bool:
        try:
            return bool(_figures(await _metrics(settings)))
        except aiohttp.ClientError:
            return False

    async with serving(service, settings.port):
        async with _process(settings) as process:
            await setting.until(is_half_done, seconds=60)
            process.kill()
            await process.wait()
        await setting.until(is_quiet)
        kept = await store.evaluations.rows("eval-1")
        assert len(kept) < ROWS * ARMS
        service.bodies.clear()
        async with _process(settings) as process:
            await setting.until(is_done, seconds=60)
            await setting.until(is_shown)
            before = _figures(await _metrics(settings))
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), settings.shutdown_seconds) == 0
        assert len(service.bodies) == (ROWS * ARMS - len(kept)) * CALLS
    found = await store.evaluations.get("eval-1")
    assert found.verdict == Verdict.GO
    assert found.results is not None
    assert found.results["resumed_answers"] == len(kept)
    async with _process(settings):
        await setting.until(is_shown, seconds=60)
        assert _figures(await _metrics(settings)) == before


async def test_a_taken_port_is_a_clear_message(settings: Settings, store: Store) -> None:
    """A port that is taken ends the process with one sentence."""
    del store
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.evals_port))
        taken.listen()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "evals",
            env=child_environment(settings),
            cwd=CHECKOUT,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert f"metrics port {settings.evals_port}" in said.decode()
    assert "Traceback" not in said.decode()


async def test_it_stops_in_the_middle(settings: Settings, store: Store) -> None:
    """SIGTERM in the middle of an evaluation ends it in time, with what is answered stored."""
    service = FakeService(speak=setting.right_if(setting.ADAPTER), seconds=0.02)

    async def is_begun() -> bool:
        return bool(await store.evaluations.rows("eval-1"))

    async with serving(service, settings.port), _process(settings) as process:
        await setting.until(is_begun, seconds=60)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), settings.shutdown_seconds) == 0
    answered = sum("prompt_logprobs" not in body for _, body in service.bodies)
    stored = len(await store.evaluations.rows("eval-1"))
    assert 0 <= answered - stored <= settings.evals_concurrency
    assert (await store.evaluations.get("eval-1")).status == EvaluationStatus.RUNNING
