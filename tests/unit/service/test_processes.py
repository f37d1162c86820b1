"""Two service processes on one database and one engine: neither takes away what the other uses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from registry.lifecycle import AdapterStatus
from tests.fakes.vllm import FakeVllm
from tests.postgres import temporary_database
from tests.serving import BASE, Serving, service_over, settings_for

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"
THIRD = "ft:tiny-base:default:test:00000003"


@dataclass
class Pair:
    """Two processes; the first one leads."""

    one: Serving
    """The process with the lease."""
    two: Serving
    """The other one."""
    vllm: FakeVllm
    """The engine of both."""


@asynccontextmanager
async def pair_in(folder: Path, **changes: Any) -> AsyncIterator[Pair]:
    """Run two services over one fake engine, and wait until they have heard of each other."""
    vllm = FakeVllm(base=BASE)
    await vllm.start()
    settings = settings_for(folder, vllm.url, **changes)
    async with service_over([vllm], settings) as one, service_over([vllm], settings) as two:
        await one.services.sharing.once()
        await two.services.sharing.once()
        yield Pair(one, two, vllm)
    await vllm.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """Run two services with room enough, on each database in turn."""
    if request.param == "sqlite":
        async with pair_in(tmp_path) as made:
            yield made
        return
    with temporary_database() as url:
        async with pair_in(tmp_path, database_url=SecretStr(url)) as made:
            yield made


@pytest.fixture
async def cramped(tmp_path: Path) -> AsyncIterator[Pair]:
    """Run two services with two places."""
    async with pair_in(tmp_path, max_loaded_adapters=2) as made:
        yield made


async def test_one_of_two_processes_leads(pair: Pair) -> None:
    """And each knows of the other."""
    assert pair.one.services.sharing.leads
    assert not pair.two.services.sharing.leads
    assert pair.one.services.sharing.others.count == 1


async def test_both_serve_a_version_and_each_examined_it(pair: Pair) -> None:
    """Whoever loads it: "already loaded" from the same path is a success."""
    await pair.one.publish(NAME)
    await pair.two.services.routing.refresh()
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(side.chat(NAME)) for side in (pair.one, pair.two)]
    assert [answer.result().status for answer in answers] == [200, 200]
    probes = [body["model"] for body in pair.vllm.bodies if "prompt_logprobs" in body]
    assert probes.count(NAME) == 2
    assert (await pair.one.services.store.adapters.get(NAME)).status is AdapterStatus.READY


async def test_a_version_in_flight_elsewhere_is_neither_unloaded_nor_deleted(pair: Pair) -> None:
    """The leader waits for the other process's request, then for its word, and then cleans up."""
    version = await pair.one.serve(NAME)
    folder = pair.one.settings.adapters_dir / version.directory
    await pair.two.services.routing.refresh()
    await pair.two.services.reconciler.ensure(version)
    pair.vllm.faults.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(pair.two.chat(NAME))
        await pair.vllm.waiting.wait()
        await pair.two.services.sharing.once()
        await pair.one.services.sharing.once()
        await pair.one.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
        for _ in range(30):
            await pair.one.passed()
        assert NAME in pair.vllm.adapters
        assert folder.exists()
        pair.vllm.faults.gate.set()
    assert asking.result().status == 200
    await pair.one.until(NAME, AdapterStatus.DELETED)
    assert not folder.exists()


async def test_a_version_used_elsewhere_is_not_evicted(cramped: Pair) -> None:
    """The leader evicts the one that no process uses."""
    for name in (NAME, OTHER):
        await cramped.one.serve(name)
    version = await cramped.one.services.store.adapters.get(NAME)
    await cramped.two.services.routing.refresh()
    await cramped.two.services.reconciler.ensure(version)
    cramped.vllm.faults.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(cramped.two.chat(NAME))
        await cramped.vllm.waiting.wait()
        await cramped.two.services.sharing.once()
        await cramped.one.services.sharing.once()
        third = await cramped.one.publish(THIRD)
        await cramped.one.services.reconciler.ensure(third)
        assert set(cramped.vllm.adapters) == {NAME, THIRD}
        cramped.vllm.faults.gate.set()
    assert asking.result().status == 200


async def test_a_process_without_the_lease_gets_room_from_the_leader(cramped: Pair) -> None:
    """It says what it waits for; the leader makes room within its wait."""
    for name in (NAME, OTHER):
        await cramped.one.serve(name)
    await cramped.one.publish(THIRD)
    await cramped.two.services.routing.refresh()
    assert (await cramped.two.chat(THIRD)).status == 200
    assert len(cramped.vllm.adapters) == 2


async def test_a_process_takes_over_when_the_leader_stops(tmp_path: Path) -> None:
    """What was retired is still cleaned up."""
    vllm = FakeVllm(base=BASE)
    await vllm.start()
    settings = settings_for(tmp_path, vllm.url)
    led, stop = asyncio.Event(), asyncio.Event()

    async def lead() -> None:
        async with service_over([vllm], settings) as one:
            await one.serve(NAME)
            assert one.services.sharing.leads
            led.set()
            await stop.wait()

    async with asyncio.TaskGroup() as group:
        leader = group.create_task(lead())
        await led.wait()
        async with service_over([vllm], settings) as two:
            assert not two.services.sharing.leads
            stop.set()
            await leader
            await two.services.sharing.once()
            await two.services.store.adapters.move(NAME, AdapterStatus.RETIRED)
            await two.until(NAME, AdapterStatus.DELETED)
    assert vllm.adapters == {}
    await vllm.stop()
