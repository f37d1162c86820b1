"""Hostile and clumsy clients against a real service process: a 4xx each, and nothing is left."""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fakes.vllm import FakeVllm
from tests.serving import BASE
from tests.unit.service.hostility import CLOSED, Attack, attacks, chat, request
from tests.watched_service import ServiceProcess, service_process

CLIENT_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
VANISHING = 100
GROWTH_MIB = 16.0
"""Memory that a second round of everything may add to the first."""
logger = logging.getLogger(__name__)


@pytest.fixture
async def vllm() -> AsyncIterator[FakeVllm]:
    """Run a fake engine."""
    running = FakeVllm(base=BASE)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def service(vllm: FakeVllm, tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """Run a service whose clients must be quick and brief."""
    async with service_process(
        tmp_path, vllm.url, client_seconds=CLIENT_SECONDS, max_request_bytes=8 * 1024 * 1024
    ) as running:
        yield running


async def connect(service: ServiceProcess, buffer_bytes: int | None = None) -> socket.socket:
    """Return a new connection; a small buffer makes a slow reader felt soon."""
    one = socket.socket()
    if buffer_bytes is not None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    one.settimeout(0)
    await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", service.settings.port))
    return one


def reset(one: socket.socket) -> None:
    """Leave as a client does whose machine lost its power, and came back."""
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


async def answer_to(
    service: ServiceProcess, content: bytes, seconds: float = PATIENCE_SECONDS
) -> bytes:
    """Send bytes and return all that comes until the service closes; the client then leaves."""
    loop, one = asyncio.get_running_loop(), await connect(service)
    found = b""
    try:
        async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
            sending = group.create_task(_send(one, content))
            with suppress(ConnectionError):
                while piece := await loop.sock_recv(one, 65536):
                    found += piece
            sending.cancel()
    finally:
        one.close()
    return found


async def _send(one: socket.socket, content: bytes) -> None:
    with suppress(ConnectionError):
        await asyncio.get_running_loop().sock_sendall(one, content)


def status_of(answer: bytes) -> int:
    """Return the status of the first answer."""
    return int(answer.split(b" ", 2)[1]) if answer else CLOSED


async def misbehave(
    service: ServiceProcess, attack: Attack, seconds: float = PATIENCE_SECONDS
) -> str | None:
    """Make one attack; return what was wrong with the answer."""
    answer = await answer_to(service, attack.content, seconds)
    status = status_of(answer)
    if status in attack.allowed:
        return None
    return f"{attack.name}: {status} {answer[-200:]!r}"


async def vanish_before_the_body(service: ServiceProcess) -> None:
    """Send half a head, then a head, and leave."""
    whole = chat(service.key, b'{"model": "tiny-base", "messages": []}')
    for part in (whole[:40], whole[: whole.index(b"\r\n\r\n") + 4]):
        one = await connect(service)
        await _send(one, part)
        reset(one)


async def vanish_in_the_body(service: ServiceProcess) -> None:
    """Send half a body, slowly enough that it is waited for, and leave."""
    one = await connect(service)
    await _send(one, request(service.key, body=b'{"model": "tiny', length=1000))
    await asyncio.sleep(0.02)
    reset(one)


async def vanish_after_the_body(service: ServiceProcess) -> None:
    """Ask and leave at once."""
    one = await connect(service)
    await _send(one, chat(service.key, _asking(stream=False)))
    reset(one)


async def vanish_in_the_stream(service: ServiceProcess) -> None:
    """Leave after the first bytes of a stream."""
    one = await connect(service)
    await _send(one, chat(service.key, _asking(stream=True)))
    with suppress(ConnectionError):
        await asyncio.get_running_loop().sock_recv(one, 300)
    reset(one)


async def dawdle_in_the_head(service: ServiceProcess) -> None:
    """Send a head byte by byte, for ever."""
    await _trickle(service, request(service.key), b"x-more: 1\r\n")


async def dawdle_in_the_body(service: ServiceProcess) -> None:
    """Promise a body and send it byte by byte."""
    await _trickle(service, request(service.key, length=1000), b" " * 990)


async def stay_silent(service: ServiceProcess) -> None:
    """Connect and say nothing."""
    assert status_of(await answer_to(service, b"")) in {408, CLOSED}


async def _trickle(service: ServiceProcess, first: bytes, then: bytes) -> None:
    loop, one = asyncio.get_running_loop(), await connect(service)
    first = first if then.startswith(b" ") else first[:-2]  # a head without its end
    await _send(one, first)

    async def drop() -> None:
        with suppress(OSError):
            for number in range(10_000):
                await loop.sock_sendall(one, then[number % len(then) :][:1])
                await asyncio.sleep(0.1)

    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
        dropping = group.create_task(drop())
        with suppress(ConnectionError):
            answer = await loop.sock_recv(one, 1000)
            assert status_of(answer) in {408, CLOSED}, answer
        dropping.cancel()
    one.close()


def _asking(*, stream: bool) -> bytes:
    body = {"model": BASE, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    return json.dumps(body).encode()


VANISH: list[Callable[[ServiceProcess], Coroutine[None, None, None]]] = [
    vanish_before_the_body,
    vanish_in_the_body,
    vanish_after_the_body,
    vanish_in_the_stream,
]
DAWDLE: list[Callable[[ServiceProcess], Coroutine[None, None, None]]] = [
    dawdle_in_the_head,
    dawdle_in_the_body,
    stay_silent,
]


async def everything(service: ServiceProcess) -> list[str]:
    """Do all of it once; return what was answered wrongly."""
    faults = [await misbehave(service, attack) for attack in attacks(service.key)]
    async with asyncio.TaskGroup() as group:
        for act in VANISH:
            for _ in range(VANISHING):
                group.create_task(act(service))
        for act in DAWDLE:
            for _ in range(10):
                group.create_task(act(service))
    return [fault for fault in faults if fault is not None]


async def left_behind(service: ServiceProcess, before: dict[str, float]) -> dict[str, float]:
    """Return what the service holds more than before, once it is nothing or patience is over."""
    more: dict[str, float] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while more := {
                name: count - before[name]
                for name, count in (await service.in_use()).items()
                if count > before[name]
            }:
                assert (await service.chat())[0] == 200  # what is idle goes with the next requests
                await asyncio.sleep(0.1)
    return more


async def test_hostile_clients_get_a_4xx_and_leave_nothing_behind(service: ServiceProcess) -> None:
    """Afterwards tasks, requests, places, sockets and memory are what they were."""
    for _ in range(50):
        assert (await service.chat())[0] == 200
    before = await service.in_use()
    faults = await everything(service)
    assert not faults, "\n".join(faults)
    assert not await left_behind(service, before)
    first = service.resident_mib()
    assert not await everything(service)
    assert not await left_behind(service, before)
    second = service.resident_mib()
    logger.info("%s in use; %.1f MiB, then %.1f MiB", before, first, second)
    assert second - first < GROWTH_MIB
    assert (await service.chat())[0] == 200
    assert "Traceback" not in service.log.read_text()
    assert await service.metric("graftline_reconcile_errors_total") == 0


async def test_a_client_that_does_not_read_is_cut_off(
    service: ServiceProcess, vllm: FakeVllm
) -> None:
    """The engine is not read from beyond a bound, and is free again after the client's time."""
    vllm.faults.endless_piece = "x" * 4000
    before = await service.in_use()
    one = await connect(service, 4096)
    await _send(one, chat(service.key, _asking(stream=True)))
    async with asyncio.timeout(PATIENCE_SECONDS), vllm.changed:
        await vllm.changed.wait_for(lambda: vllm.aborted == 1)
    assert vllm.sent_bytes < 16 * 1024 * 1024
    assert not await left_behind(service, before)
    one.close()


async def test_a_connection_is_kept_while_it_is_used_and_let_go_when_it_is_not(
    service: ServiceProcess,
) -> None:
    """Uvicorn's five seconds: they begin anew with each answer."""
    loop = asyncio.get_running_loop()
    one = await connect(service)
    whole = request(service.key, body=_asking(stream=False), length=len(_asking(stream=False)))
    began, answers = loop.time(), b""
    for number in range(4):  # two seconds apart: more than five in all
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.sleep(began + 2 * number - loop.time())
            await _send(one, whole)
            while answers.count(b"HTTP/1.1 200 OK") <= number or not answers.endswith(b"}"):
                answers += await loop.sock_recv(one, 65536)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await loop.sock_recv(one, 65536) == b""
    assert loop.time() - began > 6 + 4.9
    one.close()


async def test_pipelined_requests_are_answered_in_order_and_bounded(
    service: ServiceProcess,
) -> None:
    """Twenty sent at once are all answered; hundreds are too many for one connection."""
    whole = request(service.key, body=_asking(stream=False), length=len(_asking(stream=False)))
    last = chat(service.key, _asking(stream=False))
    answer = await answer_to(service, whole * 19 + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 20
    answer = await answer_to(service, whole * 500)
    assert answer.count(b"HTTP/1.1 200 OK") < 40


async def test_a_client_that_leaves_pipelined_requests_frees_the_engine(
    service: ServiceProcess, vllm: FakeVllm
) -> None:
    """The request that is answered is given up, though another one came after it."""
    vllm.faults.endless_piece = "x" * 4000
    asked, one = _asking(stream=True), await connect(service)
    await _send(one, request(service.key, body=asked, length=len(asked)) * 2)
    assert await asyncio.get_running_loop().sock_recv(one, 65536)
    reset(one)
    async with asyncio.timeout(PATIENCE_SECONDS), vllm.changed:
        await vllm.changed.wait_for(lambda: vllm.aborted == 1)
