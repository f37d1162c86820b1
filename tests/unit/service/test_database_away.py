"""Databases that are away for half a minute, each in its own way, under a real service process."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.fakes.vllm import FakeVllm
from tests.postgres import own_server
from tests.serving import BASE
from tests.watched_service import ServiceProcess, service_process

pytestmark = pytest.mark.slow
AWAY_SECONDS = 30.0
DATABASE_SECONDS = 4.0
BOUND_SECONDS = 12.0
"""Longest time until a change is refused: the service's own patience, and a busy machine."""
PATIENCE_SECONDS = 60.0
_LOCK = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
held.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""
Step = Callable[[], Awaitable[None]]
logger = logging.getLogger(__name__)


@dataclass
class Traffic:
    """What clients of inference saw."""

    service: ServiceProcess
    """Whom they ask."""
    answers: list[str] = field(default_factory=list)
    """Ids of the whole answers."""
    faults: list[str] = field(default_factory=list)
    """What was no whole answer."""
    slowest_seconds: float = 0.0
    """Longest time of a request."""

    async def go_on(self, *, stream: bool) -> None:
        """Ask until cancelled."""
        while True:
            began = time.monotonic()
            status, body, headers = await self.service.chat(stream=stream)
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
            if status == 200 and (not stream or body.endswith(b"data: [DONE]\n\n")):
                self.answers.append(f"chatcmpl-{headers['x-request-id']}")
            else:
                self.faults.append(f"{status} {body[-200:]!r}")
            await asyncio.sleep(0.05)


async def asked(
    service: ServiceProcess, method: str, path: str, **fields: Any
) -> tuple[int, dict[str, Any], bool]:
    """Call the API; return the status, the body, and whether it says when to try again."""
    async with service.client.request(method, path, **fields) as answer:
        return answer.status, await answer.json(), "retry-after" in answer.headers


async def deploy(service: ServiceProcess, name: str) -> tuple[int, dict[str, Any], bool]:
    """Ask for a change."""
    return await asked(service, "POST", "/v1/deployments", json={"name": name, "stable": BASE})


async def judge(service: ServiceProcess, answer: str) -> tuple[int, dict[str, Any], bool]:
    """Ask for another change: a judgement on an answer."""
    body = {"interaction_id": answer, "score": 1}
    return await asked(service, "POST", "/v1/feedback", json=body)


async def check_refused(change: Awaitable[tuple[int, dict[str, Any], bool]]) -> None:
    """Check that a change is refused soon, as a database that is away is told of."""
    began = time.monotonic()
    status, body, says_when = await change
    assert status == 503, body
    assert body["error"]["code"] == "database_unavailable"
    assert says_when
    assert time.monotonic() - began < BOUND_SECONDS


async def stored(service: ServiceProcess) -> set[str]:
    """Return the ids of every interaction that is stored."""
    found: set[str] = set()
    after: str | None = None
    while True:
        params = {"limit": "100"} | ({"after": after} if after else {})
        _, page, _ = await asked(service, "GET", "/v1/interactions", params=params)
        found |= {row["id"] for row in page["data"]}
        if not page["has_more"]:
            return found
        after = page["data"][-1]["id"]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Return once a condition holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.2)


async def succeeds(change: Awaitable[tuple[int, dict[str, Any], bool]]) -> bool:
    """Return whether a change was acknowledged."""
    return (await change)[0] == 200


async def has_all(service: ServiceProcess, answers: set[str]) -> bool:
    """Return whether every answer left its row."""
    return answers <= await stored(service)


async def endure(
    service: ServiceProcess, go_away: Step, come_back: Step, *, is_readable: bool
) -> None:
    """Take a service through a database's absence, and check what users see and what is kept."""
    traffic = Traffic(service)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(traffic.go_on(stream=stream)) for stream in (False, True)]
        assert (await deploy(service, "before"))[0] == 200
        judged = f"chatcmpl-{(await service.chat())[2]['x-request-id']}"
        assert (await judge(service, judged))[0] == 200
        await go_away()
        began, answered = time.monotonic(), len(traffic.answers)
        attempt = 0
        while time.monotonic() - began < AWAY_SECONDS - BOUND_SECONDS:
            attempt += 1
            await check_refused(deploy(service, f"during-{attempt}"))
            await check_refused(judge(service, judged))
            await asyncio.sleep(0.5)
        stranger = {"Authorization": "Bearer sk-graftline-stranger"}
        status, _, _ = await asked(service, "GET", "/v1/models", headers=stranger)
        assert status == (401 if is_readable else 503)
        await asyncio.sleep(max(0.0, AWAY_SECONDS - (time.monotonic() - began)))
        during = traffic.answers[answered:]
        await come_back()
        await until(lambda: succeeds(deploy(service, "after")))
        assert (await judge(service, during[len(during) // 2]))[0] == 200
        for task in asking:
            task.cancel()
    await check_kept(service, traffic, judged)
    logger.info(
        "%d changes refused, %d answers in between, the slowest %.2f s",
        2 * attempt,
        len(during),
        traffic.slowest_seconds,
    )
    assert attempt >= 2
    assert len(during) > AWAY_SECONDS


async def check_kept(service: ServiceProcess, traffic: Traffic, judged: str) -> None:
    """Check that all that was answered and acknowledged is there."""
    assert not traffic.faults, traffic.faults[:3]
    await until(lambda: has_all(service, set(traffic.answers)))
    assert await service.metric("graftline_interactions_dropped_total") == 0
    _, listed, _ = await asked(service, "GET", "/v1/deployments")
    assert {"before", "after"} <= {one["name"] for one in listed["data"]}
    _, row, _ = await asked(service, "GET", f"/v1/interactions/{judged}")
    assert row["feedback"]["score"] == 1
    assert "Traceback" not in await asyncio.to_thread(service.log.read_text)


@asynccontextmanager
async def ran(folder: Path, vllm: FakeVllm, **changes: Any) -> AsyncIterator[ServiceProcess]:
    """Run a service process in a folder of its own."""
    await asyncio.to_thread(folder.mkdir)
    async with service_process(
        folder, vllm.url, database_seconds=DATABASE_SECONDS, **changes
    ) as service:
        yield service


async def locked_sqlite(folder: Path, vllm: FakeVllm) -> None:
    """Another process takes SQLite's lock and keeps it."""
    async with ran(folder, vllm) as service:
        file = service.settings.data_dir / "graftline.db"
        process: asyncio.subprocess.Process | None = None

        async def go_away() -> None:
            nonlocal process
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _LOCK, str(file), stdin=pipe, stdout=pipe
            )
            assert process.stdout is not None
            assert await process.stdout.readline() == b"locked\n"

        async def come_back() -> None:
            assert process is not None
            await process.communicate(b"")

        await endure(service, go_away, come_back, is_readable=True)


async def away_postgres(
    folder: Path, vllm: FakeVllm, url: str, leave: Callable[[], None], back: Callable[[], None]
) -> None:
    """PostgreSQL hangs without a word, or is stopped and started again."""
    async with ran(folder, vllm, database_url=SecretStr(url)) as service:
        await endure(
            service,
            lambda: asyncio.to_thread(leave),
            lambda: asyncio.to_thread(back),
            is_readable=False,
        )


async def test_half_a_minute_without_a_database_stops_no_answer_and_loses_nothing(
    tmp_path: Path,
) -> None:
    """SQLite locked, PostgreSQL frozen, PostgreSQL stopped: changes get 503, the rest goes on."""
    vllm = FakeVllm(base=BASE)
    with own_server() as one, own_server() as two:
        await vllm.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(locked_sqlite(tmp_path / "locked", vllm))
            group.create_task(
                away_postgres(tmp_path / "frozen", vllm, one.url, one.freeze, one.thaw)
            )
            group.create_task(
                away_postgres(tmp_path / "stopped", vllm, two.url, two.stop, two.start)
            )
        await vllm.stop()
