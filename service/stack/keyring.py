"""API keys made on the command line, straight in the store.

It refuses to know the HTTP side; whoever may read the data directory may do anything already.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256

from registry.errors import Invalid, NotFound
from registry.identifiers import new_id, new_secret
from registry.records import ApiKey, Scope
from registry.settings import Settings
from registry.store import Store, open_store


@dataclass(frozen=True)
class MadeKey:
    """A new key and its secret, which is never stored."""

    key: ApiKey
    """The record."""
    secret: str
    """What the client sends."""


async def create(
    settings: Settings, *, project: str, scopes: Sequence[Scope], name: str
) -> MadeKey:
    """Make a key.

    Raises:
        Invalid: There is no database yet.
        Unavailable: The database cannot be reached.
    """
    secret = new_secret()
    key = ApiKey(
        id=new_id("key"),
        project=project,
        name=name,
        secret_sha256=sha256(secret.encode()).hexdigest(),
        scopes=sorted(set(scopes)),
        created_at=int(time.time()),
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


async def revoke(settings: Settings, identifier: str) -> None:
    """Revoke a key of any project.

    Raises:
        Invalid: There is no database yet.
        NotFound: There is no such valid key.
    """
    async with _existing_store(settings) as store:
        for key in await store.keys.valid():
            if key.id == identifier:
                await store.keys.revoke(identifier, project=key.project, at=int(time.time()))
                return
    raise NotFound("API key", identifier)


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
