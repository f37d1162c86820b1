"""The client of the hot path, against servers that behave badly on purpose."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from registry.errors import Interrupted, Unavailable, Unreachable
from service.upstream.connection import READ_AHEAD_BYTES
from service.upstream.pool import ConnectionPool
from tests.pieces import pieces_of

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Server:
    """A server that lets each connection be handled by a script."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.connections = 0
        self.requests: list[bytes] = []
        self.gone = asyncio.Event()
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Handle one connection."""
        self.connections += 1
        try:
            await self.talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """Read one request with a body of two bytes."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head + await reader.readexactly(2))
        return self.requests[-1]


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[tuple[Server, ConnectionPool]]:
    """Run a server and a pool of connections to it."""
    server = Server(talk)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    pool = ConnectionPool(f"http://127.0.0.1:{server.port}/base/", authorization="Bearer k")
    try:
        yield server, pool
    finally:
        await pool.close()
        listening.close()


async def ask(pool: ConnectionPool, *, seconds: float = 5.0) -> bytes:
    """Send one request and return the body of its answer."""
    async with pool.post("/v1/x", b"{}", request_id="r" * 32, deadline_seconds=seconds) as answer:
        return await answer.body()


async def test_a_request_is_sent_whole() -> None:
    """Path, key, id, length and body reach the engine."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(WHOLE)

    async with served(talk) as (server, pool):
        assert await ask(pool) == b"{}"
        head = server.requests[0]
        assert head.startswith(b"POST /base/v1/x HTTP/1.1\r\n")
        assert b"authorization: Bearer k\r\n" in head
        assert b"x-request-id: " + b"r" * 32 in head
        assert f"host: 127.0.0.1:{server.port}\r\n".encode() in head


async def test_a_connection_is_used_again() -> None:
    """Two requests one after the other share it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.request(reader)
            writer.write(WHOLE)

    async with served(talk) as (server, pool):
        for _ in range(3):
            assert await ask(pool) == b"{}"
        assert server.connections == 1


async def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    """A server that closes after each answer costs no request."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(WHOLE)

    async with served(talk) as (server, pool):
        for _ in range(3):
            assert await ask(pool) == b"{}"
        assert server.connections == 3


async def test_a_stream_comes_in_pieces() -> None:
    """What has come is yielded without waiting for the rest."""
    first_seen = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(HEAD + b"3\r\none\r\n")
        await first_seen.wait()
        writer.write(b"3\r\ntwo\r\n0\r\n\r\n")

    async with served(talk) as (server, pool):
        seen = []
        async with (
            pool.post("/s", b"{}", request_id="r", deadline_seconds=5) as answer,
            pieces_of(answer) as pieces,
        ):
            while (piece := await pieces.get()) is not None:
                seen.append(piece)
                first_seen.set()
        assert seen == [b"one", b"two"]


async def test_leaving_early_cuts_the_connection() -> None:
    """The engine notices, and the connection is not used again."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(HEAD + b"3\r\none\r\n")
        await reader.readexactly(1)

    async with served(talk) as (server, pool):
        async with (
            pool.post("/s", b"{}", request_id="r", deadline_seconds=5) as answer,
            pieces_of(answer) as pieces,
        ):
            assert await pieces.get() == b"one"
        async with asyncio.timeout(5):
            await server.gone.wait()


async def test_nobody_listening_is_told_apart() -> None:
    """The request was never seen, so that it may go elsewhere."""
    pool = ConnectionPool("http://127.0.0.1:9")
    with pytest.raises(Unreachable):
        await ask(pool)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200",
        b"nonsense\r\n\r\n",
        HEAD + b"3\r\none\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc",
        HEAD + b"zz\r\n",
    ],
)
async def test_a_death_before_the_end_is_an_interruption(sent: bytes) -> None:
    """Before the first byte of an answer as after it; the request was sent."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(sent)

    async with served(talk) as (server, pool):
        with pytest.raises(Interrupted):
            await ask(pool)


async def test_a_deadline_ends_the_wait() -> None:
    """A server that says nothing is given up, and its connection cut."""

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        await reader.readexactly(1)

    async with served(talk) as (server, pool):
        with pytest.raises(Unavailable, match="in time"):
            await ask(pool, seconds=0.05)
        async with asyncio.timeout(5):
            await server.gone.wait()


@pytest.mark.parametrize("earlier_seconds", [0.05, 60.0])
async def test_each_request_on_a_kept_connection_has_a_deadline_of_its_own(
    earlier_seconds: float,
) -> None:
    """Neither a shorter one nor a longer one before it counts for it."""
    late = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            await server.request(reader)
            if len(server.requests) == 2:
                await late.wait()
            writer.write(WHOLE)
        await server.request(reader)
        await reader.readexactly(1)

    async with served(talk) as (server, pool):
        await ask(pool, seconds=earlier_seconds)
        asyncio.get_running_loop().call_later(0.2, late.set)
        assert await ask(pool, seconds=20) == b"{}"
        with pytest.raises(Unavailable, match="in time"):
            async with asyncio.timeout(5):
                await ask(pool, seconds=0.05)
        assert server.connections == 1


async def test_an_answer_without_length_ends_with_its_connection() -> None:
    """As HTTP/1.0 servers do."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async with served(talk) as (server, pool):
        assert await ask(pool) == b"all of it"


async def test_an_interim_answer_is_passed_over() -> None:
    """`100 Continue` is not the answer."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await server.request(reader)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" + WHOLE)

    async with served(talk) as (server, pool):
        assert await ask(pool) == b"{}"
        assert await ask(pool) == b"{}"
        assert server.connections == 1


async def test_an_answer_nobody_asked_for_spoils_the_connection() -> None:
    """It is never given to the next request."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(WHOLE + WHOLE.replace(b"{}", b"[]"))
        await server.request(reader)
        writer.write(WHOLE)

    async with served(talk) as (server, pool):
        assert await ask(pool) == b"{}"
        assert await ask(pool) == b"{}"
        assert server.connections == 2


async def test_a_slow_reader_holds_the_engine_back() -> None:
    """No more than the read-ahead, and what the sockets hold, is buffered."""
    size = 64 * READ_AHEAD_BYTES
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await server.request(reader)
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n".encode())
        while sent < size:
            writer.write(bytes(READ_AHEAD_BYTES))
            await writer.drain()
            sent += READ_AHEAD_BYTES

    async with served(talk) as (server, pool):
        async with (
            pool.post("/s", b"{}", request_id="r", deadline_seconds=20) as answer,
            pieces_of(answer) as pieces,
        ):
            total = len(await pieces.get() or b"")
            for _ in range(200):  # every chance to read on
                await asyncio.sleep(0)
            assert answer._held_bytes <= 2 * READ_AHEAD_BYTES
            while (piece := await pieces.get()) is not None:
                total += len(piece)
        assert total == size


async def test_a_taker_that_fails_fails_its_request() -> None:
    """Its error reaches the task that waits, not the event loop's own handler."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(HEAD)
        await asyncio.sleep(0)
        writer.write(b"3\r\none\r\n0\r\n\r\n")

    def take(data: bytes) -> bool:
        raise LookupError(data)

    async def drain() -> None:
        """Nothing is ever full."""

    async with (
        served(talk) as (server, pool),
        pool.post("/s", b"{}", request_id="r", deadline_seconds=5) as answer,
    ):
        with pytest.raises(LookupError, match="one"):
            await answer.pour(take, drain)


async def test_nothing_follows_a_piece_that_was_not_taken() -> None:
    """Whoever failed at one piece is not given the next: a gap is worse than an end."""
    taken: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(HEAD)
        await reader.read()

    def take(data: bytes) -> bool:
        taken.append(data)
        raise LookupError(data)

    async def drain() -> None:
        """Nothing is ever full."""

    async with (
        served(talk) as (server, pool),
        pool.post("/s", b"{}", request_id="r", deadline_seconds=5) as answer,
    ):
        pouring = asyncio.ensure_future(answer.pour(take, drain))
        await asyncio.sleep(0)
        answer.data_received(b"3\r\none\r\n")
        answer.data_received(b"3\r\ntwo\r\n")
        with pytest.raises(LookupError, match="one"):
            await pouring
    assert taken == [b"one"]


async def test_a_pause_of_our_own_is_not_the_engines_silence() -> None:
    """A process that was held up while it opened a connection still gets it."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(WHOLE)

    async with served(talk) as (server, _):
        pool = ConnectionPool(f"http://127.0.0.1:{server.port}", connect_seconds=0.2)
        asking = asyncio.ensure_future(ask(pool))
        await asyncio.sleep(0)
        time.sleep(0.4)  # noqa: ASYNC251 - the pause itself: nothing runs meanwhile
        assert await asking == b"{}"
        await pool.close()


async def test_a_closed_pool_opens_nothing() -> None:
    """A service that stops sends no more."""
    pool = ConnectionPool("http://127.0.0.1:9")
    await pool.close()
    with pytest.raises(Unavailable, match="stopping"):
        await ask(pool)
