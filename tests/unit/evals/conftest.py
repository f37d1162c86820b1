"""The exams' tests: no name is looked up, so no metric can have come over a network."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

_LOCAL = frozenset({None, "", "127.0.0.1", "localhost", "::1", "0.0.0.0"})  # noqa: S104 - compared, not bound


class NameLookup(AssertionError):
    """A test looked up the name of another machine."""


@pytest.fixture(autouse=True)
def no_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Fail the test that looks up a name of another machine, also where the error is swallowed."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def refuse(host: Any, *args: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name in _LOCAL:
            return real(host, *args, **options)
        asked.append(str(name))
        raise NameLookup(f"the name {name} was looked up")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield asked
    if asked:
        raise NameLookup(f"names were looked up: {asked}")
