"""Clients that arrive together are taken together, and a taken address is told."""

import asyncio
import socket
from contextlib import ExitStack

import pytest
import uvloop

from service.listening import TAKEN_AT_ONCE, arrivals

CLIENTS = 3 * TAKEN_AT_ONCE


class _Counted(asyncio.Protocol):
    taken = 0

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        _Counted.taken += 1


async def _turns_until_all_are_taken() -> int:
    """Return how often the loop looked until every client that waited was taken."""
    loop = asyncio.get_running_loop()
    _Counted.taken = 0
    with ExitStack() as stack:
        sockets = [stack.enter_context(each) for each in arrivals("127.0.0.1", 0)]
        servers = [await loop.create_server(_Counted, sock=each, backlog=64) for each in sockets]
        address = sockets[0].getsockname()
        for _ in range(CLIENTS):
            stack.enter_context(socket.create_connection(address))
        turns = 0
        while _Counted.taken < CLIENTS:
            await asyncio.sleep(0)
            turns += 1
        for server in servers:
            server.close()
    return turns


def test_clients_that_come_at_once_are_taken_in_a_few_turns() -> None:
    """A server that is busy in each turn does not take its clients one by one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(_turns_until_all_are_taken()) < CLIENTS / 2


def test_a_taken_address_is_named() -> None:
    """The message says which address, and what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(SystemExit, match=f"127.0.0.1, port {port}: address already in use"):
            arrivals("127.0.0.1", port)


def test_an_unknown_host_is_named() -> None:
    """A host without an address is a message, not a trace."""
    with pytest.raises(SystemExit, match="Cannot listen on"):
        arrivals("999.999.999.999", 8000)
