"""One answer on a client's connection: what is written, and when."""

import asyncio
import logging
from typing import Any, cast

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from service.cycle import Cycle, outlet_of
from service.outlet import AsgiOutlet

TYPE = (b"content-type", b"text/plain")


class Recorder(asyncio.Transport):
    """Remembers what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Remember a write."""
        self.writes.append(bytes(data))

    def close(self) -> None:
        """Remember the end."""
        self.closed = True

    def is_closing(self) -> bool:
        """Return whether it ended."""
        return self.closed


def cycle_on(
    transport: Recorder, *, method: str = "GET", keep_alive: bool = True
) -> tuple[Cycle, list[str]]:
    """Return the cycle of one request, and a list that gets an item at its end."""
    ended: list[str] = []
    cycle = Cycle(
        scope=cast("Any", {"type": "http", "method": method}),
        transport=transport,
        flow=FlowControl(transport),
        logger=logging.getLogger("test"),
        access_logger=logging.getLogger("test"),
        access_log=False,
        default_headers=[(b"date", b"now")],
        message_event=asyncio.Event(),
        expect_100_continue=False,
        keep_alive=keep_alive,
        on_response=lambda: ended.append("end"),
    )
    return cycle, ended


def start(*fields: tuple[bytes, bytes], status: int = 200) -> Any:
    """Return ASGI's message for a head."""
    return {"type": "http.response.start", "status": status, "headers": list(fields)}


def body(data: bytes, *, more: bool = False) -> Any:
    """Return ASGI's message for a piece of a body."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def test_head_and_body_are_one_write() -> None:
    """A whole answer leaves at once, and the connection is free for the next one."""
    transport = Recorder()
    cycle, ended = cycle_on(transport)
    cycle.begin(200, [TYPE, (b"content-length", b"2")])
    cycle.end(b"ok")
    head = b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n"
    assert (transport.writes, ended) == ([head + b"ok"], ["end"])
    assert not transport.closed


async def test_each_piece_is_on_its_way_when_it_was_written() -> None:
    """The first one takes the head along; each is a chunk, and so is the end."""
    transport = Recorder()
    cycle, _ = cycle_on(transport)
    cycle.begin(200, [TYPE])
    assert cycle.write(b"one")
    assert transport.writes[0].endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    cycle.write(b"four")
    cycle.end(b"")
    assert transport.writes[1:] == [b"4\r\nfour\r\n", b"0\r\n\r\n"]


async def test_an_empty_piece_is_not_the_end() -> None:
    """A chunk without bytes would end the answer."""
    transport = Recorder()
    cycle, ended = cycle_on(transport)
    await cycle.send(start(TYPE))
    await cycle.send(body(b"", more=True))
    await cycle.send(body(b"x"))
    assert transport.writes[-1].endswith(b"1\r\nx\r\n0\r\n\r\n")
    assert ended == ["end"]


async def test_a_head_does_not_wait_for_its_body() -> None:
    """A stream whose first event takes its time shows its status before."""
    transport = Recorder()
    cycle, _ = cycle_on(transport)
    await cycle.send(start(TYPE))
    await asyncio.sleep(0)
    assert [one.partition(b"\r\n")[0] for one in transport.writes] == [b"HTTP/1.1 200 OK"]
    await cycle.send(body(b"x", more=True))
    assert transport.writes[1:] == [b"1\r\nx\r\n"]


async def test_a_slow_client_is_told() -> None:
    """Who writes hears that the client takes no more, and waits until it does."""
    transport = Recorder()
    cycle, _ = cycle_on(transport)
    cycle.begin(200, [TYPE])
    cycle.flow.pause_writing()
    assert not cycle.write(b"x")
    waiting = asyncio.ensure_future(cycle.drain())
    await asyncio.sleep(0)
    assert not waiting.done()
    cycle.flow.resume_writing()
    await waiting


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_answer_without_a_body_has_none(method: str, status: int) -> None:
    """Neither bytes nor chunks follow its head."""
    transport = Recorder()
    cycle, ended = cycle_on(transport, method=method)
    fields = [(b"content-length", b"9")] if method == "HEAD" else []
    await cycle.send(start(*fields, status=status))
    await cycle.send(body(b"ignored!!" if method == "HEAD" else b""))
    assert b"".join(transport.writes).endswith(b"\r\n\r\n")
    assert b"chunked" not in b"".join(transport.writes)
    assert ended == ["end"]


@pytest.mark.parametrize("fields", [[], [(b"connection", b"close")]])
async def test_the_connection_ends_where_it_was_said(fields: list[tuple[bytes, bytes]]) -> None:
    """By the client's wish or the answer's own field, said once."""
    transport = Recorder()
    cycle, _ = cycle_on(transport, keep_alive=bool(fields))
    cycle.begin(200, fields)
    cycle.end(b"")
    assert transport.closed
    assert transport.writes[0].count(b"connection: close\r\n") == 1


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\0"])
async def test_control_characters_never_reach_a_head(value: bytes) -> None:
    """Nobody writes fields of their own into an answer."""
    transport = Recorder()
    cycle, _ = cycle_on(transport)
    with pytest.raises(RuntimeError):
        cycle.begin(200, [(b"x-graftline-model", value)])
    assert (transport.writes, cycle.response_started) == ([], False)


@pytest.mark.parametrize("data", [b"abc", b"a"])
async def test_a_body_has_the_length_that_was_said(data: bytes) -> None:
    """Too long or too short would be taken for the next answer."""
    cycle, ended = cycle_on(Recorder())
    cycle.begin(200, [(b"content-length", b"2")])
    with pytest.raises(RuntimeError):
        cycle.end(data)
    assert ended == []


async def test_nothing_is_written_to_a_client_that_left() -> None:
    """A closed transport refuses to be written to."""
    transport = Recorder()
    cycle, _ = cycle_on(transport)
    cycle.begin(200, [TYPE])
    transport.close()
    cycle.write(b"x")
    cycle.disconnected = True
    cycle.end(b"y")
    await cycle.send(body(b"z"))
    assert transport.writes == []


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ([], body(b"x")),
        ([start()], start()),
        ([], {"type": "odd"}),
        ([start(), body(b"x")], body(b"y")),
    ],
)
async def test_what_cannot_be_sent_now_is_refused(before: list[Any], message: Any) -> None:
    """A body before its head, a second head, what is no message, and a body after the end."""
    cycle, _ = cycle_on(Recorder())
    for one in before:
        await cycle.send(one)
    with pytest.raises(RuntimeError):
        await cycle.send(message)


async def test_behind_our_own_server_the_outlet_is_the_cycle() -> None:
    """Then an event is on its way without a step of a task."""
    cycle, _ = cycle_on(Recorder())
    assert outlet_of(cast("Any", cycle.send)) is cycle


async def test_behind_another_server_the_outlet_speaks_asgi() -> None:
    """Head, pieces and end come in their order, with what `drain` sends."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    outlet = outlet_of(send)
    assert isinstance(outlet, AsgiOutlet)
    outlet.begin(200, [TYPE])
    assert not outlet.write(b"one")
    outlet.end(b"two")
    assert sent == []
    await outlet.drain()
    assert sent == [start(TYPE), body(b"one", more=True), body(b"two")]
