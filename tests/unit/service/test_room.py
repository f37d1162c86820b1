"""More versions than places: loads on demand, evictions, pins and the bound."""

import asyncio
from pathlib import Path

from tests.fakes.vllm import FakeVllm
from tests.serving import Serving, serving


def name(number: int) -> str:
    """Return a version's name."""
    return f"ft:tiny-base:default:test:{number:08}"


def most_at_once(vllm: FakeVllm) -> int:
    """Return how many adapters a fake held at most."""
    held, most = 0, 0
    for line in vllm.log:
        held += line.startswith("load ") - line.startswith("unload ")
        most = max(most, held)
    return most


async def pin(stack: Serving, version: str, action: str = "pin") -> int:
    """Pin or unpin a version through the API, and return the status."""
    async with stack.client.post(f"/v1/adapters/{version}/{action}") as response:
        body = await response.json()
        if response.status == 200:
            assert body["pinned"] is (action == "pin")
        return response.status


async def test_the_least_recently_used_version_makes_room(tmp_path: Path) -> None:
    """Two places, three versions: the third comes when it is asked for, the oldest use goes."""
    async with serving(tmp_path, max_loaded_adapters=2) as stack:
        for number in (1, 2):
            await stack.serve(name(number))
        assert (await stack.chat(name(2))).status == 200
        assert (await stack.chat(name(1))).status == 200
        await stack.publish(name(3))
        assert (await stack.chat(name(3))).status == 200
        assert set(stack.vllm.adapters) == {name(1), name(3)}
        assert stack.metric("graftline_adapter_evictions_total") == 1
        assert (await stack.chat(name(2))).status == 200


async def test_many_versions_share_few_places_and_never_exceed_them(tmp_path: Path) -> None:
    """Twelve versions on two replicas with three places each, each asked twice: all answer."""
    async with serving(tmp_path, replicas=2, max_loaded_adapters=3) as stack:
        for number in range(12):
            await stack.publish(name(number), step=1)
        for _ in range(2):
            for number in range(12):
                answer = await stack.chat(name(number))
                assert answer.status == 200
                assert (await answer.json())["model"] == name(number)
        assert max(most_at_once(vllm) for vllm in stack.vllms) <= 3


async def test_a_version_lives_on_few_replicas_when_not_all_fit(tmp_path: Path) -> None:
    """Five versions, four places on each of two replicas: none is loaded twice."""
    async with serving(tmp_path, replicas=2, max_loaded_adapters=4) as stack:
        for number in range(5):
            await stack.publish(name(number), step=1)
        for number in range(5):
            assert (await stack.chat(name(number))).status == 200
        first, second = (set(vllm.adapters) for vllm in stack.vllms)
        assert first | second == {name(number) for number in range(5)}
        assert stack.vllms[0].log or stack.vllms[1].log


async def test_deployments_fill_every_place_and_others_get_503(tmp_path: Path) -> None:
    """With a time to come back, and what to change; the deployed versions stay."""
    async with serving(tmp_path, max_loaded_adapters=1) as stack:
        await stack.serve(name(1))
        await stack.deploy("support", name(1))
        await stack.publish(name(2))
        answer = await stack.chat(name(2))
        assert answer.status == 503
        assert "retry-after" in answer.headers
        assert "GRAFTLINE_MAX_LOADED_ADAPTERS" in (await answer.json())["error"]["message"]
        assert set(stack.vllm.adapters) == {name(1)}


async def test_a_pinned_version_stays_until_it_is_unpinned(tmp_path: Path) -> None:
    """Whoever asks for another one gets 503 at first, and an answer afterwards."""
    async with serving(tmp_path, max_loaded_adapters=1) as stack:
        await stack.serve(name(1))
        assert await pin(stack, name(1)) == 200
        await stack.publish(name(2))
        assert (await stack.chat(name(2))).status == 503
        assert await pin(stack, name(1), "unpin") == 200
        assert (await stack.chat(name(2))).status == 200
        assert set(stack.vllm.adapters) == {name(2)}


async def test_a_pin_on_what_is_not_there_is_404(tmp_path: Path) -> None:
    """As for every other question about it."""
    async with serving(tmp_path) as stack:
        assert await pin(stack, name(9)) == 404
        assert await pin(stack, name(9), "unpin") == 404


async def test_a_pinned_checkpoint_is_loaded_unasked(tmp_path: Path) -> None:
    """That is what a pin is for."""
    async with serving(tmp_path) as stack:
        await stack.publish(name(1), step=5)
        assert await pin(stack, name(1)) == 200
        async with asyncio.timeout(5):
            while name(1) not in stack.vllm.adapters:
                await stack.passed()


async def test_a_version_in_flight_is_not_evicted(tmp_path: Path) -> None:
    """Its one place is not to be had while it answers."""
    async with serving(tmp_path, max_loaded_adapters=1) as stack:
        await stack.serve(name(1))
        await stack.publish(name(2))
        stack.vllm.faults.gate = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            slow = group.create_task(stack.chat(name(1)))
            await stack.vllm.waiting.wait()
            assert (await stack.chat(name(2))).status == 503
            stack.vllm.faults.gate.set()
        assert slow.result().status == 200
        assert (await stack.chat(name(2))).status == 200
        assert most_at_once(stack.vllm) == 1
