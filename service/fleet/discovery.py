"""Which vLLM servers there are: a list, or every address that a name has.

It refuses to know how they are, and keeps the last answer when a lookup fails.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from registry.settings import Settings

LOOKUP_SECONDS = 5.0
"""Time between two lookups, and the longest time one may take."""

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host; raises `OSError` when there are none or nobody answers."""

logger = logging.getLogger(__name__)


class Discovery:
    """The URLs of the replicas, as far as they are known."""

    def __init__(self, urls: Sequence[str], name: str | None, lookup: Lookup) -> None:
        self.urls: tuple[str, ...] = tuple(urls)
        """URL of each replica, without a path."""
        self._name = name
        self._lookup = lookup

    async def refresh(self) -> None:
        """Look the name up again; a list stays as it is."""
        if self._name is None:
            return
        parts = urlsplit(self._name)
        host, port = parts.hostname or "", parts.port or 80
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                addresses = await self._lookup(host, port)
        except (OSError, TimeoutError) as exc:
            logger.warning("%s was not found, the replicas stay as they are: %s", host, exc)
            return
        if addresses:
            self.urls = tuple(_url(address, port) for address in sorted(set(addresses)))


def discovery_of(settings: Settings) -> Discovery:
    """Return the discovery that the settings ask for."""
    return Discovery(settings.engine_urls, settings.engine_dns, resolve)


async def resolve(host: str, port: int) -> list[str]:
    """Return every address (A and AAAA) of a host.

    Raises:
        OSError: There is none, or no name server answers.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def _url(address: str, port: int) -> str:
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"
