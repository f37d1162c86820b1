"""What hostile and clumsy clients send: bytes, and what may come back.

It refuses to know the service's inside. A refused request is answered with a 4xx, or its connection
is closed where no answer can be given.
"""

import json
from dataclasses import dataclass

CLOSED = 0
"""Instead of a status: the connection was closed without an answer."""
DEPTH = 100_000
_CHAT = "/v1/chat/completions"
TRICKS = (
    "..%2f..%2fadmin.key",
    "%2e%2e/%2e%2e/admin.key",
    "../../admin.key",
    "..",
    "%00",
    "a%00b",
    "%ff%fe",
    "%0d%0ax-evil:%201",
    "'%20OR%20'1'='1",
    "a" * 8000,
    "%F0%9F%92%A9" * 500,
    "ft:tiny-base:default:../../x:1",
    "{}",
    "*",
)
"""Identifiers that name nothing, and try to be paths, statements or header fields."""
PLACES = (
    "/v1/files/{}",
    "/v1/files/{}/content",
    "/v1/fine_tuning/jobs/{}",
    "/v1/fine_tuning/jobs/{}/events",
    "/v1/models/{}",
    "/v1/adapters/{}",
    "/v1/deployments/{}",
    "/v1/evaluations/{}",
    "/v1/evaluations/{}/report.html",
    "/v1/interactions/{}",
    "/{}",
)
"""Paths with an identifier."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One connection's bytes."""

    name: str
    """What it is."""
    content: bytes
    """What is sent."""
    allowed: frozenset[int] = frozenset({400})
    """Statuses that may come back."""


def request(
    key: str,
    *fields: str,
    body: bytes = b"",
    line: str = f"POST {_CHAT} HTTP/1.1",
    length: int | None = None,
) -> bytes:
    """Return a request's bytes, with the key and a length unless told otherwise."""
    head = [line, "host: x", f"authorization: Bearer {key}", "content-type: application/json"]
    if length is not None:
        head.append(f"content-length: {length}")
    return "\r\n".join([*head, *fields, "", ""]).encode("latin-1") + body


def chat(key: str, body: bytes, *fields: str) -> bytes:
    """Return a chat request with this body, whole."""
    return request(key, "connection: close", *fields, body=body, length=len(body))


def attacks(key: str) -> list[Attack]:
    """Return every attack that is one connection's bytes."""
    return [*_framing(key), *_bodies(key), *_heads(key), *_paths(key)]


def _attack(name: str, content: bytes, *allowed: int) -> Attack:
    return Attack(name=name, content=content, allowed=frozenset(allowed or (400,)))


def _framing(key: str) -> list[Attack]:
    whole = json.dumps({"model": "tiny-base", "messages": []}).encode()
    chunked = "transfer-encoding: chunked"
    return [
        _attack(
            "TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 500
        ),
        _attack("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        _attack("100 kB of empty lines", b"\r\n" * 50_000, 408, CLOSED),
        _attack("noise", bytes(range(256)) * 8),
        _attack("an unknown method", b"BREW /v1/models HTTP/1.1\r\nhost: x\r\n\r\n"),
        _attack("CONNECT", b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: x\r\n\r\n", 400, 404),
        _attack("a length below zero", request(key, "content-length: -1", body=whole)),
        _attack("a length in words", request(key, "content-length: many", body=whole)),
        _attack("two lengths", request(key, "content-length: 1", "content-length: 2", body=whole)),
        _attack("an absurd length", request(key, "content-length: 99999999999", body=whole), 413),
        _attack("a length beyond numbers", request(key, f"content-length: {'9' * 40}"), 400, 413),
        _attack(
            "length and chunks at once",
            request(key, chunked, body=b"0\r\n\r\n", length=len(whole)),
        ),
        _attack("a chunk of no size", request(key, chunked, body=b"zz\r\nabc\r\n0\r\n\r\n")),
        _attack("a chunk below zero", request(key, chunked, body=b"-5\r\nabcde\r\n0\r\n\r\n")),
        _attack("chunks of nothing", request(key, chunked, "connection: close", body=b"0\r\n\r\n")),
        _attack(
            "a body beyond its length", request(key, body=whole * 3, length=len(whole)), 200, 400
        ),
        _attack("a field without a colon", request(key, "nonsense", body=whole)),
        _attack("a folded field", request(key, "a: b\r\n c: d", body=whole, length=len(whole))),
        _attack("NUL in a field", request(key, "a: b\0c", body=whole, length=len(whole))),
    ]


def _bodies(key: str) -> list[Attack]:
    deep = b"[" * DEPTH
    return [
        _attack("no body", chat(key, b"")),
        _attack("not JSON", chat(key, b"model=tiny-base")),
        _attack("half of a JSON", chat(key, b'{"model": "tiny-base", "mess')),
        _attack("a list", chat(key, b"[]")),
        _attack("null", chat(key, b"null")),
        _attack("invalid UTF-8", chat(key, b'{"model": "\xff\xfe\x80"}')),
        _attack("invalid UTF-8 in a name", chat(key, b'{"\xc3\x28": 1, "model": "tiny-base"}')),
        _attack("half a surrogate", chat(key, b'{"model": "\\ud800", "messages": []}'), 400, 404),
        _attack("NUL in a model", chat(key, b'{"model": "\\u0000", "messages": []}'), 400, 404),
        _attack("a model that is a list", chat(key, b'{"model": ["tiny-base"]}')),
        _attack("deep lists", chat(key, deep)),
        _attack("deep lists, closed", chat(key, deep + b"]" * DEPTH)),
        _attack("deep objects", chat(key, b'{"a":' * DEPTH)),
        _attack("deep messages", chat(key, b'{"model":"tiny-base","messages":' + deep)),
        _attack(
            "deep messages, closed",
            chat(key, b'{"model":"tiny-base","messages":' + deep + b"]" * DEPTH + b"}"),
        ),
        _attack("deep metadata", chat(key, b'{"model":"tiny-base","metadata":' + b'{"a":' * DEPTH)),
        _attack(
            "10 MB of prompt", chat(key, b'{"model":"tiny-base","x":"' + b"a" * 10_000_000), 413
        ),
        _attack(
            "10 MB in chunks",
            request(
                key,
                "transfer-encoding: chunked",
                "connection: close",
                body=(b"10000\r\n" + b"a" * 65536 + b"\r\n") * 153 + b"0\r\n\r\n",
            ),
            413,
        ),
        *(
            _attack(f"deep JSON to {path}", _post(key, path, deep))
            for path in ("/v1/deployments", "/v1/feedback", "/v1/api_keys", "/v1/fine_tuning/jobs")
        ),
    ]


def _heads(key: str) -> list[Attack]:
    many = [f"x-{number}: y" for number in range(5000)]
    return [
        _attack("5,000 fields", request(key, *many, length=0), 431, CLOSED),
        _attack("201 short fields", request(key, *many[:201], length=0), 431),
        _attack("a field of 1 MB", request(key, "x: " + "y" * 1_000_000, length=0), 431, CLOSED),
        _attack("a field of 100 kB", request(key, "x: " + "y" * 100_000, length=0), 431),
        _attack("a path of 1 MB", _get(key, "/" + "a" * 1_000_000), 431, CLOSED),
        _attack(
            "a head without end", b"GET /v1/models HTTP/1.1\r\n" + b"x: y\r\n" * 60_000, 431, CLOSED
        ),
        _attack("a key of 60 kB", chat("k" * 60_000, b"{}"), 401),
        _attack("no key", chat("", b"{}"), 401),
    ]


def _paths(key: str) -> list[Attack]:
    lines = [place.format(trick) for place in PLACES for trick in TRICKS]
    lines += ["/v1/load_lora_adapter", "//v1/chat/completions/", "/v1/./models/../../etc/passwd"]
    found = [_attack(f"GET {path[:60]}", _get(key, path), 400, 404, 405) for path in lines]
    return [
        *found,
        _attack(
            "an absolute address",
            _post(key, "http://127.0.0.1:1/v1/load_lora_adapter", b"{}"),
            404,
            405,
        ),
        _attack("an asterisk", _get(key, "*"), 400, 404),
    ]


def _get(key: str, path: str) -> bytes:
    return request(key, "connection: close", line=f"GET {path} HTTP/1.1")


def _post(key: str, path: str, body: bytes) -> bytes:
    line = f"POST {path} HTTP/1.1"
    return request(key, "connection: close", line=line, body=body, length=len(body))
