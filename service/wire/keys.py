"""API keys, without their secrets.

It refuses to know how a secret is checked.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from registry.records import ApiKey, Scope


class CreateKey(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a new key."""

    name: str
    """What the operator calls it, 1 to 100 characters."""
    scopes: list[Scope]
    """At least one of `inference`, `training`, `admin`; `admin` implies the others."""
    project: str | None = None
    """Project it acts in; the caller's own by default."""
    expires_at: int | None = None
    """Unix time in seconds from which it opens nothing; none for a key without an end."""
    expires_in_seconds: int | None = None
    """The same, counted from now."""
    requests_per_minute: int | None = None
    """Inference requests it may send in a minute; none for no limit."""
    tokens_per_minute: int | None = None
    """Tokens, of prompts and answers, it may use in a minute; none for no limit."""


class UpdateKey(msgspec.Struct, frozen=True, kw_only=True):
    """A request to change a key; absent fields stay as they are."""

    name: str | UnsetType = UNSET
    """What the operator calls it, 1 to 100 characters."""
    expires_at: int | UnsetType | None = UNSET
    """Unix time in seconds from which it opens nothing; null takes the end away."""
    expires_in_seconds: int | None = None
    """The same, counted from now."""
    requests_per_minute: int | UnsetType | None = UNSET
    """Inference requests it may send in a minute; null takes the limit away."""
    tokens_per_minute: int | UnsetType | None = UNSET
    """Tokens, of prompts and answers, it may use in a minute; null takes the limit away."""


class RotateKey(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a key's successor."""

    grace_seconds: int = 86_400
    """Time the old key goes on working, 0 to 30 days; a day by default."""


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
    expires_at: int | None
    """Unix time in seconds from which it opens nothing; null for a key without an end."""
    requests_per_minute: int | None
    """Inference requests it may send in a minute; null for no limit."""
    tokens_per_minute: int | None
    """Tokens it may use in a minute; null for no limit."""
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
        expires_at=key.expires_at,
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
        secret=secret,
    )
