"""API keys made on the command line, straight in the store.

It refuses to know the HTTP side; whoever may read the data directory may do anything already.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from registry.errors import Invalid
from registry.identifiers import new_id, new_secret
from registry.records import ApiKey
from registry.settings import Settings
from registry.store import Store, open_store
from service import key_request
from service.auth import hash_secret
from service.bootstrap import DEFAULT_PROJECT
from service.wire.keys import CreateKey, UpdateKey


@dataclass(frozen=True)
class MadeKey:
    """A new key and its secret, which is never stored."""

    key: ApiKey
    """The record."""
    secret: str
    """What the client sends."""


async def create(settings: Settings, request: CreateKey) -> MadeKey:
    """Make a key.

    Raises:
        Invalid: There is no database yet, or a field of the request is at fault.
        Unavailable: The database cannot be reached.
    """
    secret = new_secret()
    key = key_request.new_key(
        request,
        identifier=new_id("key"),
        project=key_request.checked_project(request.project or DEFAULT_PROJECT),
        secret_sha256=hash_secret(secret),
        now=int(time.time()),
    )
    async with _existing_store(settings) as store:
        await store.keys.add(key)
    return MadeKey(key, secret)


async def valid(settings: Settings) -> list[ApiKey]:
    """Return the keys that were not revoked.

    Raises:
        Invalid: There is no database yet.
    """
    async with _existing_store(settings) as store:
        return await store.keys.valid()


async def change(settings: Settings, identifier: str, request: UpdateKey) -> ApiKey:
    """Change a key of any project, and return it.

    Raises:
        Invalid: There is no database yet, or a field of the request is at fault.
        NotFound: There is no such valid key.
        Conflict: It would be the last admin key without an end, or is Graftline's own.
    """
    changes = key_request.changes_of(request, int(time.time()))
    check = _may_end if changes.get("expires_at") is not None else None
    async with _existing_store(settings) as store:
        return await store.keys.change(identifier, check=check, **changes)


async def rotate(settings: Settings, identifier: str, grace_seconds: int) -> MadeKey:
    """Make the successor of a key of any project; the old key ends after the grace.

    Raises:
        Invalid: There is no database yet, or the grace is too long.
        NotFound: There is no such valid key.
        Conflict: It is Graftline's own.
    """
    secret, now = new_secret(), int(time.time())
    end = key_request.end_of_grace(grace_seconds, now)
    async with _existing_store(settings) as store:
        key = await store.keys.get(identifier)
        key_request.check_lent(key)
        successor = key_request.successor_of(
            key, identifier=new_id("key"), secret_sha256=hash_secret(secret), now=now
        )
        await store.keys.rotate(identifier, successor, expires_at=end)
    return MadeKey(successor, secret)


async def revoke(settings: Settings, identifier: str) -> None:
    """Revoke a key of any project.

    Raises:
        Invalid: There is no database yet.
        NotFound: There is no such valid key.
        Conflict: It is the last admin key without an end.
    """
    check = key_request.check_operator_stays
    async with _existing_store(settings) as store:
        await store.keys.revoke(identifier, at=int(time.time()), check=check)


def _may_end(key: ApiKey, keys: Sequence[ApiKey]) -> None:
    key_request.check_lent(key)
    key_request.check_operator_stays(key, keys)


@asynccontextmanager
async def _existing_store(settings: Settings) -> AsyncIterator[Store]:
    if settings.database_url is None and not (settings.data_dir / "graftline.db").exists():
        message = (
            f"There is no database in {settings.data_dir}. Run 'graftline up' once, "
            "or name the folder with --data-dir."
        )
        raise Invalid(message, "data_dir")
    store = await open_store(settings)
    try:
        yield store
    finally:
        await store.close()
