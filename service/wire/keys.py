"""API keys, without their secrets.

It refuses to know how a secret is checked.
"""

from typing import Literal

import msgspec

from registry.records import ApiKey, Scope


class CreateKey(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a new key."""

    name: str
    """What the operator calls it, 1 to 100 characters."""
    scopes: list[Scope]
    """At least one of `inference`, `training`, `admin`; `admin` implies the others."""
    project: str | None = None
    """Project it acts in; the caller's own by default."""


class KeyObject(msgspec.Struct, frozen=True, kw_only=True):
    """A key; the secret is shown once, in the answer that made it."""

    id: str
    """`key-` and 24 hexadecimal digits."""
    object: Literal["api_key"] = "api_key"
    """Always `api_key`."""
    name: str
    """What the operator calls it."""
    project: str
    """Project it acts in; `*` for Graftline's own processes."""
    scopes: list[Scope]
    """What it may do."""
    created_at: int
    """Unix time in seconds."""
    secret: str | None = None
    """The key itself, in the answer that made it; null ever after."""


def key_object(key: ApiKey, secret: str | None = None) -> KeyObject:
    """Return a record as it goes over the wire."""
    return KeyObject(
        id=key.id,
        name=key.name,
        project=key.project,
        scopes=key.scopes,
        created_at=key.created_at,
        secret=secret,
    )
