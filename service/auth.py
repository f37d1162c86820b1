"""Who is calling, and what they may do.

It refuses to know where secrets come from: only their hashes are kept.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from hashlib import sha256

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from registry.errors import GraftlineError, Invalid, MissingScope, Unauthenticated
from registry.records import ANY_PROJECT, ApiKey, Scope
from registry.store import Store

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

    def find(self, secret: str) -> ApiKey | None:
        """Return the valid key with this secret."""
        return self._keys.get(hash_secret(secret))

    async def refresh(self) -> None:
        """Read the valid keys from the store; call it after each change.

        Raises:
            Unavailable: The database cannot be reached; the keys stay as they were.
        """
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
        headers: The request's headers; looked up by the lower-case name `authorization`.

    Raises:
        Unauthenticated: There is none, or it is not one of ours.
    """
    header = headers.get("authorization")
    if not header:
        message = "You did not provide an API key. Send it as 'Authorization: Bearer <key>'."
        raise Unauthenticated(message)
    kind, _, secret = header.partition(" ")
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


def needs(scope: Scope) -> Callable[[ASGIConnection, BaseRouteHandler], None]:  # type: ignore[type-arg] # any app's
    """Return a guard that lets only keys with `scope` through."""

    def guard(connection: ASGIConnection, _handler: BaseRouteHandler) -> None:  # type: ignore[type-arg] # any app's
        require(caller_of(connection), scope)

    return guard


def caller_of(connection: ASGIConnection) -> ApiKey:  # type: ignore[type-arg] # any app's
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


def own_project(key: ApiKey) -> str:
    """Return the one project a key acts in.

    Raises:
        Invalid: The key sees every project, so a new record would have no owner.
    """
    if key.project == ANY_PROJECT:
        raise Invalid("This key belongs to no single project and can only run inference.")
    return key.project
