"""Interactions, with the text and the judgement if there are any.

It refuses to know where they are kept.
"""

from typing import Any, Literal

import msgspec

from registry.records import Feedback, Interaction, InteractionText
from service.wire.feedback import FeedbackObject, feedback_object


class TextObject(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and answered."""

    request: dict[str, Any]
    """What the model was told, as it came: `messages`, `prompt` or `input`, and `tools`."""
    answer: str
    """The answer's text."""


class InteractionObject(msgspec.Struct, frozen=True, kw_only=True):
    """One inference request and its outcome."""

    id: str
    """Id of the completion, as the client saw it."""
    object: Literal["interaction"] = "interaction"
    """Always `interaction`."""
    deployment: str | None
    """The deployment that was asked for, if one was."""
    arm: str
    """The side that answered: `stable`, `candidate`, `shadow`; `none` without a deployment."""
    model: str
    """The version that answered."""
    unit_hash: str | None
    """Hash of the unit."""
    endpoint: str
    """The endpoint, such as `chat.completions`."""
    status: int
    """HTTP status the client saw."""
    finish_reason: str | None
    """Why the answer ended."""
    prompt_tokens: int | None
    """Tokens of the prompt; null when unknown."""
    completion_tokens: int | None
    """Tokens of the answer; null when unknown."""
    first_token_seconds: float | None
    """From the request to the first byte of a streamed answer."""
    duration_seconds: float
    """From the request to the last byte of the answer."""
    created_at: float
    """Unix time in seconds, with fractions."""
    key_id: str | None
    """Id of the key that asked."""
    shadow_of: str | None
    """The interaction whose request was copied, when the shadow answered."""
    mean_logprob: float | None
    """Mean log-probability of the answer, in nats a token; null when it was not asked for."""
    features: dict[str, float]
    """Figures of request and answer, by name."""
    text: TextObject | None = None
    """What was said, when it was kept; null in lists."""
    feedback: FeedbackObject | None = None
    """The judgement; null in lists."""


def interaction_object(
    interaction: Interaction,
    text: InteractionText | None = None,
    feedback: Feedback | None = None,
) -> InteractionObject:
    """Return a record as it goes over the wire."""
    fields = msgspec.structs.asdict(interaction)
    del fields["project"]
    return InteractionObject(
        **fields,
        text=None if text is None else TextObject(request=text.request, answer=text.answer),
        feedback=None if feedback is None else feedback_object(feedback),
    )
