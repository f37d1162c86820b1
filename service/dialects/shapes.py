"""Which shape an error has for whom.

It refuses to know errors; `problems.py` renders them.
"""

from collections.abc import Mapping
from enum import StrEnum

VERSION_HEADER = "anthropic-version"
"""Every request of Anthropic's clients carries it."""
_MESSAGES = "/v1/messages"
_MODELS = "/v1/models"


class Shape(StrEnum):
    """Whose errors a client understands."""

    OPENAI = "openai"
    """`{"error": {"message", "type", "param", "code"}}`."""
    ANTHROPIC = "anthropic"
    """`{"type": "error", "error": {"type", "message"}, "request_id"}`."""


def shape_of(path: str, headers: Mapping[str, str]) -> Shape:
    """Return the shape of errors at a path; `/v1/models` speaks to both kinds of clients."""
    if path == _MESSAGES or path.startswith(_MESSAGES + "/"):
        return Shape.ANTHROPIC
    if VERSION_HEADER in headers and (path == _MODELS or path.startswith(_MODELS + "/")):
        return Shape.ANTHROPIC
    return Shape.OPENAI
