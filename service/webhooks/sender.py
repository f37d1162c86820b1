"""Sends one signed event to one URL, once.

It refuses to know what is tried again.
"""

import asyncio
import time
from collections.abc import Callable

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver

from registry.errors import Invalid
from registry.records import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from service.webhooks.addresses import CheckedResolver, Reachable
from service.webhooks.signing import secrets_of, signed_headers

_AGENT = "Graftline-Webhooks/1"
_LONGEST_ERROR = 300


class _Subject(msgspec.Struct, frozen=True):
    id: str


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: str = "event"
    created_at: int
    type: str
    data: _Subject


def payload_of(delivery: WebhookDelivery) -> bytes:
    """Return an event as it is sent, in OpenAI's shape; the same bytes at each try."""
    return msgspec.json.encode(
        _Event(
            id=delivery.event_id,
            created_at=delivery.created_at,
            type=delivery.event_type,
            data=_Subject(delivery.subject),
        )
    )


class Sender:
    """Sends events.

    Args:
        reachable: Where they may go.
        deadline_seconds: Longest time for one try, from the look-up of the name to the answer.
        names: Looks names up; the system's way by default.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        reachable: Reachable,
        *,
        deadline_seconds: float,
        names: AbstractResolver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.reachable = reachable
        """Where events may go."""
        self.deadline_seconds = deadline_seconds
        """Longest time for one try, in seconds."""
        self._names = names
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> WebhookAttempt:
        """Send an event, and return what came of it; it never fails."""
        began, status, error = self._clock(), None, None
        payload = payload_of(delivery)
        headers = signed_headers(
            payload,
            event_id=delivery.event_id,
            timestamp=int(began),
            signers=secrets_of(endpoint, began),
        )
        headers |= {"content-type": "application/json", "user-agent": _AGENT}
        try:
            status = await self._post(endpoint.url, payload, headers)
        except TimeoutError:
            error = f"No answer within {self.deadline_seconds:g} s."
        except (aiohttp.ClientError, OSError, Invalid, ValueError) as exc:
            error = f"{type(exc).__name__}: {exc}"[:_LONGEST_ERROR]
        else:
            error = _judge(status)
        seconds = round(self._clock() - began, 3)
        return WebhookAttempt(at=int(began), seconds=seconds, status=status, error=error)

    async def _post(self, url: str, payload: bytes, headers: dict[str, str]) -> int:
        self.reachable.check(url)  # an address of digits is not looked up, and settings change
        async with (
            asyncio.timeout(self.deadline_seconds),
            self._opened().post(
                url, data=payload, headers=headers, allow_redirects=False
            ) as answer,
        ):
            return answer.status  # the rest of the answer is of no interest, and is not read

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=CheckedResolver(self.reachable, self._names))
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


def _judge(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"The receiver answered {status}; redirects are not followed. Change the URL."
    return f"The receiver answered {status}."
