"""Copies of requests for a shadow: seen by nobody, and in nobody's way."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from registry.lifecycle import AdapterStatus
from registry.records import Arm, Interaction
from registry.store import tables
from registry.store.rows import fetch_all
from service import shadow
from tests.fakes.vllm import ANSWER
from tests.serving import BASE, CHAT, Serving, serving

NAME = "ft:tiny-base:default:test:00000001"
OTHER = "ft:tiny-base:default:test:00000002"
SHADOWED: dict[str, Any] = {"shadow": NAME, "shadow_share": 1.0}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Serving]:
    """Run the service over a fake engine, with a deployment of the base model and its shadow."""
    async with serving(tmp_path, shadow_concurrency=2) as running:
        await running.serve()
        await running.deploy("support", BASE, **SHADOWED)
        running.vllm.bodies.clear()
        yield running


def copies(stack: Serving, outcome: str) -> float:
    """Return how many copies ended so."""
    return stack.metric("graftline_shadow_copies_total", deployment="support", outcome=outcome)


async def until_counted(stack: Serving, outcome: str, count: int) -> None:
    """Return once so many copies ended so."""
    async with asyncio.timeout(10):
        while copies(stack, outcome) < count:
            await stack.passed()


async def recorded(stack: Serving, request_id: str) -> Interaction:
    """Return the interaction of the copy of a request."""
    await stack.services.interaction_log.flush()
    wanted = "chatcmpl-" + request_id
    found = [each for each in await all_interactions(stack) if each.shadow_of == wanted]
    assert len(found) == 1
    return found[0]


async def all_interactions(stack: Serving) -> list[Interaction]:
    """Return every stored interaction."""
    async with stack.services.store.database.read() as connection:
        return await fetch_all(connection, select(tables.interactions), Interaction)


async def test_a_copy_is_answered_by_the_shadow(stack: Serving) -> None:
    """The user's answer is the stable version's; the copy asks the same of the shadow."""
    response = await stack.chat("support", temperature=0.5)
    await until_counted(stack, "answered", 1)
    assert response.headers["x-graftline-model"] == BASE
    asked, copied = stack.vllm.bodies
    assert (asked["model"], copied["model"]) == (BASE, NAME)
    assert copied["messages"] == asked["messages"]
    assert copied["temperature"] == 0.5


async def test_a_copy_leaves_an_interaction_beside_the_users(stack: Serving) -> None:
    """With its arm, its tokens and its time, and the id of the user's."""
    response = await stack.chat("support", user="someone")
    await until_counted(stack, "answered", 1)
    copy = await recorded(stack, response.headers["x-request-id"])
    users = await stack.services.store.interactions.get(
        "chatcmpl-" + response.headers["x-request-id"], project="default"
    )
    assert (copy.arm, copy.model, copy.deployment) == (Arm.SHADOW, NAME, "support")
    assert (copy.status, copy.completion_tokens) == (200, len(ANSWER) + 2)
    assert copy.duration_seconds > 0
    assert (copy.unit_hash, users.shadow_of) == (users.unit_hash, None)


async def test_a_copy_of_a_stream_is_asked_for_whole(stack: Serving) -> None:
    """Nobody waits for its pieces."""
    body = {
        "model": "support",
        "messages": [],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async with stack.client.post(CHAT, json=body) as response:
        await response.read()
    await until_counted(stack, "answered", 1)
    copied = stack.vllm.bodies[-1]
    assert copied["stream"] is False
    assert "stream_options" not in copied


async def test_what_the_shadow_did_is_in_the_arms(stack: Serving) -> None:
    """Beside the stable version's."""
    await stack.chat("support", user="someone")
    await until_counted(stack, "answered", 1)
    await stack.services.interaction_log.flush()
    async with stack.client.get("/v1/deployments/support") as response:
        arms = {arm["arm"]: arm for arm in (await response.json())["arms"]}
    assert arms["shadow"]["model"] == NAME
    assert (arms["shadow"]["interactions"], arms["shadow"]["units"]) == (1, 1)


async def test_a_stuck_shadow_delays_nobody(stack: Serving) -> None:
    """Thirty users are answered while every copy is stuck; two copies are in flight at a time."""
    stack.vllm.faults.gate = asyncio.Event()
    stack.vllm.faults.gated_model = NAME
    async with asyncio.timeout(20):
        for _ in range(30):
            assert (await stack.chat("support")).status == 200
    asked = [body["model"] for body in stack.vllm.bodies]
    assert (asked.count(BASE), asked.count(NAME)) == (30, 2)
    stack.vllm.faults.gate.set()
    await until_counted(stack, "answered", 30)


async def test_copies_beyond_the_room_are_dropped_and_counted(
    stack: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The users notice nothing."""
    monkeypatch.setattr(shadow, "MAX_HELD_BYTES", 500)
    stack.vllm.faults.gate = asyncio.Event()
    stack.vllm.faults.gated_model = NAME
    for _ in range(10):
        assert (await stack.chat("support", padding="x" * 150)).status == 200
    assert copies(stack, "dropped") == 8
    stack.vllm.faults.gate.set()
    await until_counted(stack, "answered", 2)
    assert (await stack.chat("support")).status == 200
    await until_counted(stack, "answered", 3)


async def test_a_copy_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    """It is recorded as failed, its connection is closed, and the next copy is asked."""
    async with serving(tmp_path, shadow_concurrency=1) as stack:
        await stack.serve()
        await stack.deploy("support", BASE, **SHADOWED)
        stack.services.shadows._deadline_seconds = 0.2
        stack.vllm.faults.gate = asyncio.Event()
        stack.vllm.faults.gated_model = NAME
        response = await stack.chat("support")
        await until_counted(stack, "failed", 1)
        assert (await recorded(stack, response.headers["x-request-id"])).status == 504
        async with asyncio.timeout(5), stack.vllm.changed:
            await stack.vllm.changed.wait_for(lambda: stack.vllm.aborted == 1)
        stack.vllm.faults.gate.set()
        await stack.chat("support")
        await until_counted(stack, "answered", 1)


async def test_a_copy_that_fails_is_not_asked_again(stack: Serving) -> None:
    """It is recorded with the engine's status."""
    stack.vllm.faults.answer_status = 500
    response = await stack.chat("support")
    assert response.status == 200
    await until_counted(stack, "failed", 1)
    assert (await recorded(stack, response.headers["x-request-id"])).status == 500
    assert [body["model"] for body in stack.vllm.bodies] == [BASE, NAME]


async def test_a_request_that_failed_is_not_copied(stack: Serving) -> None:
    """There is nothing to compare."""
    async with stack.client.post(CHAT, json={"model": "support"}) as response:
        assert response.status == 400
    await stack.chat("support")
    await until_counted(stack, "answered", 1)
    assert [body["model"] for body in stack.vllm.bodies] == [BASE, NAME]


async def test_a_shadow_that_is_not_loaded_is_not_asked(stack: Serving) -> None:
    """A copy makes nobody load anything."""
    stack.services.reconciler.forget(stack.services.fleet.replicas[0], NAME)
    stack.vllm.faults.load_gate = asyncio.Event()
    stack.vllm.adapters.clear()
    await stack.passed()
    await stack.chat("support")
    await until_counted(stack, "unready", 1)
    assert [body["model"] for body in stack.vllm.bodies] == [BASE]
    stack.vllm.faults.load_gate.set()


async def test_a_share_of_the_requests_is_copied(
    stack: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the draw falls: below the share, not from it upwards."""
    draws = [0.99, 0.3, 0.29]
    monkeypatch.setattr(stack.services.shadows, "_draw", lambda: draws.pop(0))
    async with stack.client.patch("/v1/deployments/support", json={"shadow_share": 0.3}) as answer:
        assert answer.status == 200
    for _ in range(3):
        await stack.chat("support")
    await until_counted(stack, "answered", 1)
    assert (draws, len(stack.vllm.bodies)) == ([], 4)


async def test_a_stop_with_copies_in_flight_is_clean(tmp_path: Path) -> None:
    """They are aborted at once, and no task is left."""
    before = len(asyncio.all_tasks())
    async with serving(tmp_path, shadow_concurrency=2) as stack:
        await stack.serve()
        await stack.deploy("support", BASE, **SHADOWED)
        stack.vllm.faults.gate = asyncio.Event()
        stack.vllm.faults.gated_model = NAME
        for _ in range(5):
            await stack.chat("support")
        await stack.vllm.waiting.wait()
        stopping = asyncio.get_running_loop().time()
        vllm = stack.vllm
    assert asyncio.get_running_loop().time() - stopping < 5
    assert vllm.aborted == 2
    assert len(asyncio.all_tasks()) == before


async def test_the_shadow_is_loaded_like_a_candidate(tmp_path: Path) -> None:
    """A checkpoint that only a shadow names is wanted."""
    async with serving(tmp_path) as stack:
        await stack.publish(OTHER, step=10)
        await stack.deploy("support", BASE, shadow=OTHER, shadow_share=0.5)
        await stack.until(OTHER, AdapterStatus.READY)
        assert OTHER in stack.vllm.adapters


async def test_a_shadow_cannot_be_retired(stack: Serving) -> None:
    """While a deployment points at it."""
    async with stack.client.delete(f"/v1/models/{NAME}") as response:
        assert response.status == 409
        assert "support" in json.dumps(await response.json())
