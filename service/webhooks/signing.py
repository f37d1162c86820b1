"""Signatures as the `openai` client verifies them, which are those of Standard Webhooks.

It refuses to know who is told what.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from hashlib import sha256

from registry.records import WebhookEndpoint

_PREFIX = "whsec_"
_SECRET_BYTES = 32
_HINT_CHARACTERS = 4


def new_webhook_secret() -> str:
    """Return a secret: `whsec_` and 256 random bits in Base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def hint_of(secret: str) -> str:
    """Return what may be shown of a secret later."""
    return f"{_PREFIX}…{secret[-_HINT_CHARACTERS:]}"


def secrets_of(endpoint: WebhookEndpoint, now: float) -> list[str]:
    """Return the secrets that sign at a Unix time, in seconds; the newest first."""
    old, until = endpoint.old_secret, endpoint.old_secret_until
    if old is None or until is None or until <= now:
        return [endpoint.secret]
    return [endpoint.secret, old]


def signed_headers(
    payload: bytes, *, event_id: str, timestamp: int, signers: Sequence[str]
) -> dict[str, str]:
    """Return the headers that prove who sent a payload, and when.

    Args:
        payload: The body, byte for byte.
        event_id: The event's id.
        timestamp: Unix time in seconds; receivers refuse old ones, so each try has its own.
        signers: Secrets; the receiver accepts the signature of any.
    """
    told = f"{event_id}.{timestamp}.".encode() + payload
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_signature(told, secret)}" for secret in signers),
    }


def _signature(told: bytes, secret: str) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.new(key, told, sha256).digest()).decode()
