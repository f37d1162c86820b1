"""An adapter's way from a folder to a service: one request, streamed.

It refuses to judge the adapter: the service does.
"""

import asyncio
from contextlib import ExitStack
from typing import Any

import aiohttp
import msgspec

from registry.errors import Invalid, Unavailable
from service.importing.folder import Chosen

_SILENCE_SECONDS = 600.0
_CONNECT_SECONDS = 10.0
_OK = 200


class Told(msgspec.Struct, frozen=True):
    """The part of the service's answer that is shown."""

    id: str
    """The new version's name."""
    notices: list[str] | None = None
    """What was noticed but is no fault."""


class _Problem(msgspec.Struct):
    message: str


class _ProblemBody(msgspec.Struct):
    error: _Problem


def send(url: str, key: str, chosen: Chosen, fields: dict[str, str]) -> Told:
    """Send an adapter's files to the service at `url` and return what it says.

    Raises:
        Unavailable: The service does not answer.
        Invalid: It refused, in its own words.
    """
    return asyncio.run(_send(url, key, chosen, fields))


async def _send(url: str, key: str, chosen: Chosen, fields: dict[str, str]) -> Told:
    deadline = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
    )
    with ExitStack() as stack:
        form = aiohttp.FormData(fields)
        for name, path in (("adapter_config", chosen.config), ("adapter_model", chosen.weights)):
            stream: Any = stack.enter_context(path.open("rb"))
            form.add_field(name, stream, filename=path.name)
        try:
            async with (
                aiohttp.ClientSession(timeout=deadline) as session,
                session.post(
                    f"{url.rstrip('/')}/v1/adapters",
                    data=form,
                    headers={"Authorization": f"Bearer {key}"},
                    allow_redirects=False,
                ) as response,
            ):
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as exc:
            message = f"The service at {url} does not answer ({exc}). Start it, or name it: --url."
            raise Unavailable("service", message) from exc
    return _understood(status, body)


def _understood(status: int, body: bytes) -> Told:
    try:
        if status == _OK:
            return msgspec.json.decode(body, type=Told)
        words = msgspec.json.decode(body, type=_ProblemBody).error.message
    except msgspec.MsgspecError:
        words = f"The address answered {status}, and not as a Graftline service does."
    raise Invalid(words)
