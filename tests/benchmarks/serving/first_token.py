"""Time to the first token of a stream, on one connection, by a blocking socket.

It refuses to know what the figures must be. The upstream pauses between events, so the first comes
well before the last.
"""

import socket
import time
from urllib.parse import urlsplit

from tests.benchmarks.serving.load import CHAT, Shape
from tests.benchmarks.serving.systems import System

EVENTS = 4
"""Events of each stream."""
GAP_US = 1000
"""Pause of the upstream between two events, in microseconds."""
_SHAPE = Shape(stream=True, events=EVENTS)
_TIMEOUT_SECONDS = 30.0
_ROOM = 65536


def first_token_ms(system: System, *, streams: int) -> list[float]:
    """Return the time to the first event of so many streams, one after the other, in ms.

    Raises:
        RuntimeError: An answer was not a success, or the connection broke.
    """
    requests = [_request(system, body.encode()) for body in _SHAPE.bodies(system.model)]
    address = urlsplit(system.url)
    with socket.create_connection((address.hostname, address.port), _TIMEOUT_SECONDS) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return [_one(peer, requests[number % len(requests)]) * 1000 for number in range(streams)]


def _one(peer: socket.socket, request: bytes) -> float:
    started = time.perf_counter()
    peer.sendall(request)
    seen, first = b"", 0.0
    while not seen.endswith(b"0\r\n\r\n"):
        piece = peer.recv(_ROOM)
        if not piece:
            raise RuntimeError(f"the connection broke after {seen[-300:]!r}")
        seen += piece
        if not first and b"data:" in seen:
            first = time.perf_counter() - started
    if not seen.startswith(b"HTTP/1.1 200 ") or b"[DONE]" not in seen:
        raise RuntimeError(f"no success: {seen[:300]!r}")
    return first


def _request(system: System, body: bytes) -> bytes:
    head = (
        f"POST {CHAT} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {system.key}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
