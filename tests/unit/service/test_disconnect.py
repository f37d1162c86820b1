"""Clients that go away, seen by the requests they leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from litestar.types import HTTPReceiveMessage

from service.disconnect import Departures


class Client:
    """ASGI's `receive` of a client that leaves when told."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.asked = asyncio.Event()

    async def receive(self) -> HTTPReceiveMessage:
        """Wait for the client to leave."""
        self.asked.set()
        await self.left.wait()
        return {"type": "http.disconnect"}


@asynccontextmanager
async def listening(grace_seconds: float) -> AsyncIterator[Departures]:
    """Run the listener for the length of a block."""
    departures = Departures(grace_seconds)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(departures.run())
        yield departures
        task.cancel()


async def test_a_short_request_is_never_listened_for() -> None:
    """It costs no task."""
    client = Client()
    async with listening(60) as departures:
        with departures.watch(client.receive):
            await asyncio.sleep(0)
        assert not client.asked.is_set()


async def test_a_request_whose_client_left_is_given_up() -> None:
    """Its block ends at once and without an error."""
    client = Client()
    async with listening(0.001) as departures:
        async with asyncio.timeout(5):
            with departures.watch(client.receive) as watch:
                await client.asked.wait()
                client.left.set()
                await asyncio.Event().wait()
        assert watch.has_left
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0


async def test_another_cancellation_goes_through() -> None:
    """A service that stops cancels its requests for good."""
    client = Client()

    async def request(departures: Departures) -> None:
        with departures.watch(client.receive):
            await asyncio.Event().wait()

    async with listening(60) as departures, asyncio.TaskGroup() as group:
        task = group.create_task(request(departures))
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


async def test_an_error_goes_through() -> None:
    """Whatever the request met is raised as it is."""
    client = Client()
    async with listening(60) as departures:
        with pytest.raises(ValueError, match="met"), departures.watch(client.receive):
            raise ValueError("met")


async def test_a_client_that_leaves_after_the_end_cancels_nothing() -> None:
    """The listener of a finished request does no harm to the task that ran it."""
    client = Client()
    async with listening(0.001) as departures:
        with departures.watch(client.receive):
            await client.asked.wait()
        client.left.set()
        for _ in range(5):
            await asyncio.sleep(0)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
