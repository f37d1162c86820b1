"""Bounded places and a bounded queue."""

import asyncio

import pytest

from registry.errors import Unavailable
from service.turnstile import Turnstile


def turnstile(*, places: int = 1, queue: int = 2, wait_seconds: float = 5.0) -> Turnstile:
    """Return a small one."""
    return Turnstile(places=places, queue=queue, wait_seconds=wait_seconds)


async def waiting(gate: Turnstile, count: int) -> None:
    """Give the tasks that were made their turn; so many wait then."""
    await asyncio.sleep(0)
    assert gate.waiting == count


async def test_the_first_come_are_served_first() -> None:
    """Places go on in the order in which they were asked for."""
    gate, order = turnstile(), []
    await gate.enter()

    async def visit(name: str) -> None:
        await gate.enter()
        order.append(name)
        gate.leave()

    async with asyncio.TaskGroup() as group:
        for index, name in enumerate("ab", 1):
            group.create_task(visit(name))
            await waiting(gate, index)
        gate.leave()
    assert order == ["a", "b"]
    assert gate.try_enter()


async def test_a_full_queue_refuses_at_once() -> None:
    """The refusal says when to come back."""
    gate = turnstile(queue=0)
    await gate.enter()
    with pytest.raises(Unavailable) as caught:
        await gate.enter()
    assert caught.value.retry_after_seconds > 0


async def test_waiting_has_an_end() -> None:
    """Whoever waited too long is refused, and takes no place later."""
    gate = turnstile(wait_seconds=0.01)
    await gate.enter()
    with pytest.raises(Unavailable, match="in time"):
        await gate.enter()
    assert gate.waiting == 0
    gate.leave()
    assert gate.try_enter()


async def test_whoever_leaves_the_queue_takes_no_place() -> None:
    """A client that went away while it waited is passed over."""
    gate = turnstile()
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gate.enter())
        await waiting(gate, 1)
        gone.cancel()
    assert gate.waiting == 0
    gate.leave()
    assert gate.try_enter()


async def test_a_place_given_to_someone_who_leaves_goes_on() -> None:
    """Both in the same moment: the place is not lost."""
    gate = turnstile()
    await gate.enter()
    async with asyncio.TaskGroup() as group:
        gone = group.create_task(gate.enter())
        await waiting(gate, 1)
        gate.leave()
        gone.cancel()
    assert gate.try_enter()
