"""Requests, their outcomes and the feedback on them.

It refuses to know who reads them.
"""

from typing import Any

import msgspec

from registry.records.deployments import Arm
from registry.records.record import Record


class Interaction(Record, frozen=True, kw_only=True):
    """One inference request and its outcome."""

    id: str
    """Id of the completion, as the client saw it."""
    project: str
    """Project of the key that asked."""
    deployment: str | None
    """The deployment that was asked for, if one was."""
    arm: Arm
    """The side that answered."""
    model: str
    """The version that answered."""
    unit_hash: str | None
    """Hash of the unit; the unit itself is never stored."""
    endpoint: str
    """The dialect: `chat.completions`, `completions`, `responses` or `messages`."""
    status: int
    """HTTP status the client saw."""
    finish_reason: str | None
    """Why the answer ended."""
    prompt_tokens: int | None
    """Tokens of the prompt, as the engine counted."""
    completion_tokens: int | None
    """Tokens of the answer, as the engine counted."""
    first_token_seconds: float | None
    """From the request to the first byte of the answer."""
    duration_seconds: float
    """From the request to the last byte of the answer."""
    created_at: float
    """Unix time in seconds, with fractions."""
    key_id: str | None = None
    """Id of the key that asked."""
    shadow_of: str | None = None
    """The interaction whose request was copied, when the shadow answered."""
    mean_logprob: float | None = None
    """Mean log-probability, in nats, of the answer's tokens, when the engine told."""
    features: dict[str, float] = msgspec.field(default_factory=dict)
    """Figures of the request and the answer in which drift shows, by name."""


class InteractionText(Record, frozen=True, kw_only=True):
    """What was asked and answered, kept only where the project opted in."""

    interaction_id: str
    """The interaction."""
    project: str
    """Its project."""
    request: dict[str, Any]
    """The request's fields with the words for the model, as they came, and its tools."""
    answer: str
    """The answer's text."""
    created_at: float
    """Unix time in seconds, with fractions; it is deleted when the project's retention is over."""


class Project(Record, frozen=True, kw_only=True):
    """What a project chose about its data."""

    name: str
    """The project."""
    text_share: float = 0.0
    """Share of interactions whose text is kept, 0 to 1; 0 unless the project opted in."""
    text_retention_days: int = 30
    """Days after which kept texts are deleted."""
    updated_at: int = 0
    """Unix time in seconds."""


class Feedback(Record, frozen=True, kw_only=True):
    """A judgement on one interaction."""

    id: str
    """`feedback-` and 24 hexadecimal digits."""
    interaction_id: str
    """The interaction."""
    project: str
    """Its project."""
    score: float | None
    """From 0 (bad) to 1 (good); none when only words were given."""
    label: str | None
    """A word of the user's own."""
    comment: str | None
    """Free text."""
    correction: str | None
    """What the answer should have been."""
    created_at: int
    """Unix time in seconds."""
