"""Two services on one database: they agree within a second, and never on half a change."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from registry.records import Arm
from tests.serving import BASE, Serving, serving

OLD = "ft:tiny-base:default:test:00000001"
NEW = "ft:tiny-base:default:test:00000002"
AGREE_SECONDS = 1.0
UNITS = [f"user-{number}" for number in range(20)]


@dataclass(frozen=True)
class Answer:
    """One answer, as its headers tell."""

    asked_at: float
    """When it was asked, on the monotonic clock."""
    arm: str
    """The arm."""
    model: str
    """The version that answered, as its own marker in the text tells."""


@dataclass(frozen=True)
class Pair:
    """Two services."""

    one: Serving
    """The one through which deployments are changed."""
    other: Serving
    """The one that hears of it from the database alone."""


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Run two services on one data directory; only the routing's own loop looks for changes."""
    slow: dict[str, Any] = {"reconcile_seconds": 60.0}
    async with serving(tmp_path, **slow) as one, serving(tmp_path, **slow) as other:
        for name in (OLD, NEW):
            await one.publish(name)
        for each in (one, other):
            await each.services.routing.refresh()
            for name in (OLD, NEW):
                version = each.services.routing.snapshot.versions[name]
                await each.services.reconciler.ensure(version)
        yield Pair(one, other)


async def change(stack: Serving, action: str, **body: object) -> float:
    """Change the deployment, and return when that was acknowledged."""
    async with stack.client.post(f"/v1/deployments/support{action}", json=body) as response:
        assert response.status == 200, await response.text()
    return time.monotonic()


async def keep_asking(stack: Serving, until: asyncio.Event) -> list[Answer]:
    """Ask as one unit after the other, and return every answer."""
    answers = []
    for unit in cycle(UNITS):
        if until.is_set():
            break
        asked_at = time.monotonic()
        response = await stack.chat("support", user=unit)
        assert response.status == 200
        text = (await response.json())["choices"][0]["message"]["content"]
        model = response.headers["x-graftline-model"]
        assert text.startswith("Your" if model == BASE else model)
        answers.append(Answer(asked_at, response.headers["x-graftline-arm"], model))
    return answers


async def test_a_promotion_through_one_service_is_seen_by_the_other_within_a_second(
    pair: Pair,
) -> None:
    """No answer is of anything but the old or the new generation, and none goes back."""
    await pair.one.deploy("support", OLD, NEW, 0.5)
    await pair.other.services.routing.refresh()
    until = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(keep_asking(each, until)) for each in (pair.one, pair.other)]
        await asyncio.sleep(0.3)
        promoted_at = await change(pair.one, "/promote", override_reason="test")
        await asyncio.sleep(AGREE_SECONDS + 0.3)
        until.set()
    before = {(Arm.STABLE, OLD), (Arm.CANDIDATE, NEW)}
    for task in asking:
        answers = task.result()
        states = [(answer.arm, answer.model) for answer in answers]
        first_new = states.index((Arm.STABLE, NEW))
        assert set(states[:first_new]) <= before
        assert set(states[first_new:]) == {(Arm.STABLE, NEW)}
        assert answers[first_new].asked_at < promoted_at + AGREE_SECONDS


async def test_a_rollback_through_one_service_is_seen_by_the_other_within_a_second(
    pair: Pair,
) -> None:
    """After that second the version that was rolled back answers nobody."""
    await pair.one.deploy("support", BASE, NEW, 1.0)
    await change(pair.one, "/promote", override_reason="test")
    await pair.other.services.routing.refresh()
    until = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(keep_asking(pair.other, until))
        await asyncio.sleep(0.3)
        rolled_back_at = await change(pair.one, "/rollback")
        await asyncio.sleep(AGREE_SECONDS + 0.3)
        until.set()
    late = [each for each in asking.result() if each.asked_at > rolled_back_at + AGREE_SECONDS]
    assert {(each.arm, each.model) for each in late} == {(Arm.STABLE, BASE)}


async def test_both_services_send_a_unit_to_the_same_arm(pair: Pair) -> None:
    """A ramp included: nobody writes its weight, both work it out."""
    now = int(time.time())
    await pair.one.deploy("support", OLD)
    ramp = [{"at": now - 1, "weight": 0.5}, {"at": now + 3600, "weight": 1.0}]
    await change(pair.one, "", candidate=NEW, ramp=ramp)
    await pair.other.services.routing.refresh()
    met = [
        [(await each.chat("support", user=unit)).headers["x-graftline-arm"] for unit in UNITS]
        for each in (pair.one, pair.other)
    ]
    assert met[0] == met[1]
    assert set(met[0]) == {Arm.STABLE, Arm.CANDIDATE}
