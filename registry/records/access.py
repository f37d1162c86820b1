"""API keys and what they open.

It refuses to know the secrets: only hashes are kept.
"""

from enum import StrEnum

from registry.records.record import Record

ANY_PROJECT = "*"
"""The project of Graftline's own keys, which see every project."""


class Scope(StrEnum):
    """What an API key may do."""

    INFERENCE = "inference"
    TRAINING = "training"
    ADMIN = "admin"


class ApiKey(Record, frozen=True, kw_only=True):
    """A credential; the secret itself is never stored."""

    id: str
    """`key-` and 24 hexadecimal digits."""
    project: str
    """Project it acts in; `*` for Graftline's own processes."""
    name: str
    """What the operator calls it."""
    secret_sha256: str
    """Hash of the secret. The secret has 256 random bits, so a fast hash is enough."""
    scopes: list[Scope]
    """What it may do."""
    created_at: int
    """Unix time in seconds."""
    revoked_at: int | None = None
    """Unix time in seconds since when it opens nothing."""
    expires_at: int | None = None
    """Unix time in seconds from which it opens nothing; none for a key without an end."""
    requests_per_minute: int | None = None
    """Inference requests it may send in a minute; none for no limit."""
    tokens_per_minute: int | None = None
    """Tokens, of prompts and answers, that it may use in a minute; none for no limit."""

    @property
    def is_limited(self) -> bool:
        """Whether anything is counted against this key."""
        return self.requests_per_minute is not None or self.tokens_per_minute is not None

    def is_expired(self, now: float) -> bool:
        """Return whether the key opens nothing any more at a Unix time, in seconds."""
        return self.expires_at is not None and self.expires_at <= now


class UsageRow(Record, frozen=True, kw_only=True):
    """What one key used of one model on one day."""

    project: str
    """Project of the key."""
    key_id: str
    """The key."""
    model: str
    """The version that answered."""
    day: str
    """The day in UTC, `YYYY-MM-DD`."""
    requests: int
    """Inference requests answered, errors included."""
    prompt_tokens: int
    """Tokens of prompts, as the engine counted."""
    completion_tokens: int
    """Tokens of answers, as the engine counted."""
