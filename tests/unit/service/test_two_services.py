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
from service.routing import REFRESH_SECONDS
from tests.serving import BASE, Serving, serving

OLD = "ft:tiny-base:default:test:00000001"
NEW = "ft:tiny-base:default:test:00000002"
SEEN_SECONDS = 30.0
"""Longest wait for a change to be seen, on a loaded machine."""
UNITS = [f"user-{number}" for number in range(20)]


@dataclass(frozen=True)
class Answer:
    """One answer, as its headers tell."""

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


async def change(stack: Serving, action: str, **body: object) -> None:
    """Change the deployment; it is acknowledged when this returns."""
    async with stack.client.post(f"/v1/deployments/support{action}", json=body) as response:
        assert response.status == 200, await response.text()


async def keep_asking(stack: Serving, last: Answer) -> list[Answer]:
    """Ask as one unit after the other, a while on after the first answer that should be the last.

    Returns every answer.
    """
    answers: list[Answer] = []
    async with asyncio.timeout(SEEN_SECONDS):
        for unit in cycle(UNITS):
            response = await stack.chat("support", user=unit)
            assert response.status == 200
            text = (await response.json())["choices"][0]["message"]["content"]
            model = response.headers["x-graftline-model"]
            assert text.startswith("Your" if model == BASE else model)
            answers.append(Answer(response.headers["x-graftline-arm"], model))
            if answers.count(last) >= len(UNITS):
                break
    return answers


def test_every_process_looks_for_changes_often_enough() -> None:
    """Twice in the second within which all processes agree."""
    assert REFRESH_SECONDS <= 0.5


async def test_a_promotion_through_one_service_is_seen_whole_by_the_other(pair: Pair) -> None:
    """No answer is of anything but the old or the new generation, and none goes back."""
    await pair.one.deploy("support", OLD, NEW, 0.5)
    await pair.other.services.routing.refresh()
    promoted = Answer(Arm.STABLE, NEW)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(keep_asking(each, promoted)) for each in (pair.one, pair.other)]
        await change(pair.one, "/promote", override_reason="test")
    for task in asking:
        answers = task.result()
        first = answers.index(promoted)
        assert set(answers[:first]) <= {Answer(Arm.STABLE, OLD), Answer(Arm.CANDIDATE, NEW)}
        assert set(answers[first:]) == {promoted}


async def test_a_rollback_through_one_service_is_seen_by_the_other(pair: Pair) -> None:
    """Once seen, the version that was rolled back answers nobody."""
    await pair.one.deploy("support", BASE, NEW, 1.0)
    await change(pair.one, "/promote", override_reason="test")
    await pair.other.services.routing.refresh()
    rolled_back = Answer(Arm.STABLE, BASE)
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(keep_asking(pair.other, rolled_back))
        await change(pair.one, "/rollback")
    answers = asking.result()
    first = answers.index(rolled_back)
    assert set(answers[:first]) <= {Answer(Arm.STABLE, NEW)}
    assert set(answers[first:]) == {rolled_back}


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
