"""Judgements on interactions.

It refuses to know what was said in them.
"""

from typing import Literal

import msgspec

from registry.records import Feedback


class CreateFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement; a second one on the same interaction takes the place of the first.

    At least one of `score`, `label`, `comment` and `correction` is needed.
    """

    interaction_id: str
    """The `id` of the completion."""
    score: float | None = None
    """From 0 (bad) to 1 (good); by default 1 for the label `up`, 0 for `down`."""
    label: str | None = None
    """A word of the user's own, up to 100 characters."""
    comment: str | None = None
    """Free text, up to 10,000 characters."""
    correction: str | None = None
    """What the answer should have been, up to 100,000 characters."""


class FeedbackObject(msgspec.Struct, frozen=True, kw_only=True):
    """A stored judgement."""

    id: str
    """`feedback-` and 24 hexadecimal digits."""
    object: Literal["feedback"] = "feedback"
    """Always `feedback`."""
    interaction_id: str
    """The interaction."""
    score: float | None
    """From 0 (bad) to 1 (good); null when only words were given."""
    label: str | None
    """A word of the user's own."""
    comment: str | None
    """Free text."""
    correction: str | None
    """What the answer should have been."""
    created_at: int
    """Unix time in seconds of the first judgement on the interaction."""


def feedback_object(feedback: Feedback) -> FeedbackObject:
    """Return a record as it goes over the wire."""
    return FeedbackObject(
        id=feedback.id,
        interaction_id=feedback.interaction_id,
        score=feedback.score,
        label=feedback.label,
        comment=feedback.comment,
        correction=feedback.correction,
        created_at=feedback.created_at,
    )
