"""Usage, as sums of requests and tokens.

It refuses to know how it is counted.
"""

from typing import Literal

import msgspec

from registry.store.usage import UsageSum


class UsageObject(msgspec.Struct, frozen=True, kw_only=True):
    """What was used by one key, of one model, on one day, or by all of what is null."""

    object: Literal["usage"] = "usage"
    """Always `usage`."""
    project: str
    """Project of the keys; `*` for Graftline's own processes."""
    key_id: str | None
    """The key; null when not grouped by `key`."""
    model: str | None
    """The version that answered; null when not grouped by `model`."""
    day: str | None
    """The day in UTC, `YYYY-MM-DD`; null when not grouped by `day`."""
    requests: int
    """Inference requests answered, errors included."""
    prompt_tokens: int
    """Tokens of prompts, as the engine counted."""
    completion_tokens: int
    """Tokens of answers, as the engine counted."""


def usage_object(usage: UsageSum) -> UsageObject:
    """Return sums as they go over the wire."""
    return UsageObject(
        project=usage.project,
        key_id=usage.key_id,
        model=usage.model,
        day=usage.day,
        requests=usage.requests,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )
