"""Whether a part answers, asked over HTTP with a deadline.

It refuses to know processes: a part is an address.
"""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import msgspec

_DEADLINE_SECONDS = 3.0
_OK = 200


class Answer(msgspec.Struct, frozen=True):
    """What an address answered."""

    status: int
    """HTTP status; 0 when there was no answer."""
    body: bytes = b""
    """The answer's content."""


def ask(url: str) -> Answer:
    """Return what an address answers; no answer is an answer too."""
    address = urlsplit(url)
    connection = HTTPConnection(
        address.hostname or "", address.port or 80, timeout=_DEADLINE_SECONDS
    )
    try:
        connection.request("GET", address.path)
        response = connection.getresponse()
        return Answer(response.status, response.read())
    except (OSError, HTTPException):
        return Answer(0)
    finally:
        connection.close()


def answers(url: str) -> bool:
    """Return whether an address answers 200."""
    return ask(url).status == _OK


def missing_parts(answer: Answer) -> list[str]:
    """Return what `/health/ready` still misses, as `part: detail`; empty when all is well."""
    try:
        body: Any = msgspec.json.decode(answer.body)
        parts: Mapping[str, Any] = body["parts"]
        missing = [
            f"{name}: {part['detail']}" for name, part in sorted(parts.items()) if not part["ok"]
        ]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return ["service: /health/ready gives no answer"]
    return missing or ([] if answer.status == _OK else ["service: not ready"])
