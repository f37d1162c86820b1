"""Who is calling, and what they may do.

It refuses to know where secrets come from: only their hashes are kept.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from registry.errors import GraftlineError, MissingScope, Unauthenticated, Unavailable
from registry.records import ApiKey, Scope
from registry.store import Store

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]
REFRESH_SECONDS = 1.0
"""Longest time a key that another process revoked still opens anything."""
STALE_SECONDS = 3 * REFRESH_SECONDS
"""Age of the keys in memory from which one that is not among them may be a new one."""
MAX_HEADERS = 10_000
"""Headers of callers kept in memory, so that a secret is not hashed at each request."""
_NO_KEY = (
    "You did not provide an API key. Send it as 'Authorization: Bearer <key>' or as 'x-api-key'."
)

logger = logging.getLogger(__name__)


def hash_secret(secret: str) -> str:
    """Return the hash under which a secret is stored.

    The secret has 256 random bits: a fast hash is enough, and looking it up needs no constant time.
    """
    return sha256(secret.encode()).hexdigest()


class Keyring:
    """The API keys that were not revoked, in memory, by the hash of their secret."""

    def __init__(self, store: Store, *, steady: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._steady = steady
        self._keys: dict[str, ApiKey] = {}
        self._by_header: dict[str, ApiKey] = {}
        self._read_at = float("-inf")
        self._seen: object = None
        # Protects the order: keys that were read before a change never replace those read after.
        self._refreshing = asyncio.Lock()

    def find(self, secret: str) -> ApiKey | None:
        """Return the key with this secret, expired or not."""
        return self._keys.get(hash_secret(secret))

    def identify(self, authorization: str | None, api_key: str | None, now: float) -> ApiKey:
        """Return the key that a request's headers carry; one dict lookup when it was seen before.

        Args:
            authorization: The header `authorization`; it wins when both are sent.
            api_key: The header `x-api-key`, as Anthropic's client sends it.
            now: Unix time in seconds.

        Raises:
            Unauthenticated: There is no key, it is not one of ours, or it expired.
            Unavailable: It is unknown here, and the store, which may know it, was not read lately.
        """
        if not authorization and not api_key:
            raise Unauthenticated(_NO_KEY)
        header = authorization or f"\n{api_key}"  # no header holds a line break: told apart
        key = self._by_header.get(header)
        if key is None:
            key = self._look_up(_bearer(authorization) if authorization else header, header)
        if key.expires_at is not None and key.expires_at <= now:
            raise Unauthenticated(_expired(key.expires_at))
        return key

    def _look_up(self, secret: str, header: str) -> ApiKey:
        key = self.find(secret.strip())
        if key is None and self._steady() - self._read_at > STALE_SECONDS:
            message = "The database is away, and this API key was not seen before; try again."
            raise Unavailable("database", message)
        if key is None:
            raise Unauthenticated("Incorrect API key provided, or one that was revoked.")
        # Only valid headers are kept: nobody without a key fills the memory.
        if len(self._by_header) >= MAX_HEADERS:
            self._by_header.clear()
        self._by_header[header] = key
        return key

    async def refresh(self) -> None:
        """Read the valid keys from the store; call it after each change.

        Raises:
            Unavailable: The database cannot be reached; the keys stay as they were.
        """
        async with self._refreshing:
            await self._read()

    async def look(self) -> None:
        """Read them only if they changed since: most looks find nothing new.

        Raises:
            Unavailable: The database cannot be reached; the keys stay as they were.
        """
        async with self._refreshing:
            started = self._steady()
            seen = await self._store.keys.fingerprint()
            if seen != self._seen:
                await self._read()
                self._seen = seen
            self._read_at = started

    async def _read(self) -> None:
        started = self._steady()
        keys = {key.secret_sha256: key for key in await self._store.keys.valid()}
        if keys != self._keys:
            self._keys = keys
            self._by_header.clear()
        self._read_at = started

    async def run(self) -> None:
        """Refresh every `REFRESH_SECONDS` until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.look()
            except GraftlineError as exc:
                logger.warning("API keys not refreshed: %s", exc)


def authenticate(keyring: Keyring, headers: Mapping[str, str], now: float) -> ApiKey:
    """Return the key that a request's headers carry; see `Keyring.identify`.

    Args:
        keyring: The keys.
        headers: The request's headers; looked up by lower-case names.
        now: Unix time in seconds.

    Raises:
        Unauthenticated: There is no key, it is not one of ours, or it expired.
    """
    return keyring.identify(headers.get("authorization"), headers.get("x-api-key"), now)


def _bearer(authorization: str) -> str:
    kind, _, secret = authorization.strip().partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("The Authorization header must read 'Bearer <key>'.")
    return secret


def _expired(at: int) -> str:
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return f"This API key expired at {when}. Use its successor, or ask an admin for a new key."


def require(key: ApiKey, scope: Scope) -> None:
    """Check that a key has a scope; `admin` implies the others.

    Raises:
        MissingScope: It has not.
    """
    if scope not in key.scopes and Scope.ADMIN not in key.scopes:
        raise MissingScope(scope)


def needs(scope: Scope) -> Guard:
    """Return a guard that lets only keys with `scope` through."""

    def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        require(caller_of(connection), scope)

    return guard


def needs_any(*scopes: Scope) -> Guard:
    """Return a guard that lets keys with at least one of `scopes` through."""

    def guard(connection: Connection, _handler: BaseRouteHandler) -> None:
        key = caller_of(connection)
        if not {*scopes, Scope.ADMIN} & set(key.scopes):
            raise MissingScope(scopes[0])

    return guard


def caller_of(connection: Connection) -> ApiKey:
    """Return the key of a request, and remember it on the connection.

    Raises:
        Unauthenticated: There is none, or it is not one of ours.
    """
    known = connection.state.get("caller")
    if isinstance(known, ApiKey):
        return known
    key = authenticate(connection.app.state.services.keyring, connection.headers, time.time())
    connection.state["caller"] = key
    return key
