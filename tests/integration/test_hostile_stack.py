"""Hostile clients against the real stack: a 4xx each, and vLLM and the service are free again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.integration.stack import Stack
from tests.integration.test_engine_killed import running_requests
from tests.unit.service import test_hostile_clients as hostile
from tests.unit.service.hostility import Attack, attacks, chat
from tests.watched_service import ServiceProcess

pytestmark = [pytest.mark.integration, pytest.mark.slow]
VANISHING = 20
PROMPT = b'{"model":"tiny-base","messages":[{"role":"user","content":"%s"}]}' % (
    b"a b " * 2_500_000
)
IDLE_SECONDS = 60.0
PROMPT_SECONDS = 120.0


@pytest.fixture
async def service(stack: Stack) -> AsyncIterator[ServiceProcess]:
    """Return the stack's service, seen from outside."""
    headers = {"Authorization": f"Bearer {stack.admin_key}"}
    pid = stack.pids()["service"]
    assert pid is not None
    async with aiohttp.ClientSession(stack.url, headers=headers) as client:
        log = Path(stack.data_dir / "logs" / "service.log")
        yield ServiceProcess(stack.settings, psutil.Process(pid), client, log)


async def test_hostile_clients_leave_the_real_stack_as_it_was(
    stack: Stack, service: ServiceProcess
) -> None:
    """10 MB prompts, deep JSON, floods, tricks and clients that vanish; both processes live on."""
    pids = stack.pids()
    assert (await service.chat(max_tokens=2))[0] == 200
    before = await service.in_use()
    faults = [
        await hostile.misbehave(service, attack)
        for attack in attacks(service.key)
        if "10 MB" not in attack.name and "empty lines" not in attack.name
    ]
    long = Attack(name="10 MB of prompt", content=chat(service.key, PROMPT))
    faults.append(await hostile.misbehave(service, long, PROMPT_SECONDS))
    assert not [fault for fault in faults if fault is not None]
    async with asyncio.TaskGroup() as group:
        for act in hostile.VANISH:
            for _ in range(VANISHING):
                group.create_task(act(service))
    async with asyncio.timeout(IDLE_SECONDS):
        while await running_requests(stack.settings.engine_base_url):
            pass  # the engine tells nobody when it aborts a request: ask again
    assert not await hostile.left_behind(service, before)
    assert (await service.chat(max_tokens=2))[0] == 200
    assert stack.pids() == pids
