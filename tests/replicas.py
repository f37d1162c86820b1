"""What the tests of a service over several fake replicas wait for, ask and count.

It refuses to know which claim a test makes.
"""

import asyncio
from itertools import count

import aiohttp

from tests.fakes.vllm import FakeVllm
from tests.serving import BASE, Serving


async def everywhere(stack: Serving, name: str) -> None:
    """Wait until every replica serves a version."""
    async with asyncio.timeout(5):
        while len(stack.services.fleet.holders(name)) < len(stack.vllms):
            await stack.passed()


async def down(stack: Serving, index: int) -> None:
    """Wait until a replica is seen to be gone."""
    async with asyncio.timeout(5):
        while stack.services.fleet.replicas[index].health.answers:
            await stack.passed()


def answered(vllm: FakeVllm, model: str) -> int:
    """Return how many chats a replica answered for a model."""
    return sum(body["model"] == model and "messages" in body for body in vllm.bodies)


def prompt(number: int) -> list[dict[str, str]]:
    """Return one of many conversations, no two of which begin alike."""
    return [{"role": "user", "content": f"{number} times hello"}]


async def chats(
    stack: Serving, model: str, messages: list[list[dict[str, str]]]
) -> list[aiohttp.ClientResponse]:
    """Ask all at once."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(stack.chat(model, messages=each)) for each in messages]
    return [task.result() for task in tasks]


async def in_flight(stack: Serving, requests: int) -> None:
    """Wait until the replicas have so many requests."""
    async with asyncio.timeout(5):
        while sum(replica.outstanding for replica in stack.services.fleet.replicas) < requests:
            await stack.passed()


async def drawn_to(stack: Serving, vllm: FakeVllm) -> list[dict[str, str]]:
    """Return a conversation that an idle service sends to one of the replicas."""
    for number in count():
        before = len(vllm.bodies)
        await stack.chat(BASE, messages=prompt(number))
        if len(vllm.bodies) > before:
            return prompt(number)
    raise AssertionError
