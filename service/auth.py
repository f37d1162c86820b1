"""Who is calling, and what they may do.

It refuses to know where secrets come from: only their hashes are kept.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from registry.errors import GraftlineError, MissingScope, Unauthenticated
from registry.records import ApiKey, Scope
from registry.store import Store

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], None]
REFRESH_SECONDS = 1.0
"""Longest time a key that another process revoked still opens anything."""

logger = logging.getLogger(__name__)


def hash_secret(secret: str) -> str:
    """Return the hash under which a secret is stored.

    The secret has 256 random bits: a fast hash is enough, and looking it up needs no constant time.
    """
    return sha256(secret.encode()).hexdigest()


class Keyring:
    """The valid API keys, in memory, by the hash of their secret."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: dict[str, ApiKey] = {}
        # Protects the order: keys that were read before a change never replace those read after.
        self._refreshing = asyncio.Lock()

    def find(self, secret: str) -> ApiKey | None:
        """Return the valid key with this secret."""
        return self._keys.get(hash_secret(secret))

    async def refresh(self) -> None:
        """Read the valid keys from the store; call it after each change.

        Raises:
            Unavailable: The database cannot be reached; the keys stay as they were.
        """
        async with self._refreshing:
            self._keys = {key.secret_sha256: key for key in await self._store.keys.valid()}

    async def run(self) -> None:
        """Refresh every `REFRESH_SECONDS` until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            try:
                await self.refresh()
            except GraftlineError as exc:
                logger.warning("API keys not refreshed: %s", exc)


def authenticate(keyring: Keyring, headers: Mapping[str, str]) -> ApiKey:
    """Return the key that a request's headers carry.

    Args:
        keyring: The valid keys.
        headers: The request's headers; looked up by the lower-case names `authorization` and,
            where that is missing, `x-api-key`, as Anthropic's clients send it.

    Raises:
        Unauthenticated: There is none, or it is not one of ours.
    """
    header = headers.get("authorization")
    plain = headers.get("x-api-key")
    if not header and not plain:
        message = "You did not provide an API key. Send it as 'Authorization: Bearer <key>'."
        raise Unauthenticated(message)
    kind, _, secret = (header or f"Bearer {plain}").partition(" ")
    if kind.lower() != "bearer" or not secret.strip():
        message = "The Authorization header must read 'Bearer <key>'."
        raise Unauthenticated(message)
    key = keyring.find(secret.strip())
    if key is None:
        raise Unauthenticated("Incorrect API key provided, or one that was revoked.")
    return key


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
    key = authenticate(connection.app.state.services.keyring, connection.headers)
    connection.state["caller"] = key
    return key
