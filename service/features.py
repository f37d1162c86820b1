"""The figures of a request and its answer in which drift shows: pure, and cheap enough for each.

It refuses to know the words; what needs them is counted only where the text is kept.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

SCANNED_BYTES = 64 * 1024
"""Longest list of messages that is looked through; of a longer one only the size is known."""
_ABSURD = 1e12
_NUMBERS = (
    ("temperature", "temperature"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
)


class _Message(msgspec.Struct, gc=False):
    role: str | None = None


_roles = msgspec.json.Decoder(list[_Message]).decode
_decode_number = msgspec.json.Decoder(float).decode


def request_features(fields: Mapping[str, Raw], *, body_bytes: int) -> dict[str, float]:
    """Return the features that a request shows without its words being decoded.

    Args:
        fields: The body's fields as they came. A field that was not sent has no feature.
        body_bytes: Size of the whole body.

    Returns:
        `body_bytes`; `messages` and `has_system` (1 or 0; only the roles are decoded);
        `has_tools`; `temperature`; `max_tokens`.
    """
    found = {"body_bytes": float(body_bytes), "has_tools": 1.0 if "tools" in fields else 0.0}
    raw = fields.get("messages")
    if raw is not None and memoryview(raw).nbytes <= SCANNED_BYTES:
        _add_roles(found, raw)
    for name, feature in _NUMBERS:
        number = fields.get(name)
        if number is not None and (value := _number(number)) is not None:
            found[feature] = value
    return found


def text_features(prompt: str, answer: str) -> dict[str, float]:
    """Return the features that only the text shows, where it is kept.

    Returns:
        `prompt_characters`, `answer_characters`, and the share of characters outside ASCII of each
        that is not empty: `prompt_non_ascii`, `answer_non_ascii`.
    """
    found: dict[str, float] = {}
    for name, text in (("prompt", prompt), ("answer", answer)):
        found[f"{name}_characters"] = float(len(text))
        if text:
            plain = len(text.encode("ascii", "ignore"))
            found[f"{name}_non_ascii"] = 1 - plain / len(text)
    return found


def _add_roles(found: dict[str, float], raw: Raw) -> None:
    try:
        messages = _roles(raw)
    except (msgspec.MsgspecError, RecursionError):  # the engine will say what is wrong
        return
    has_system = 0.0
    for message in messages:
        if message.role == "system" or message.role == "developer":
            has_system = 1.0
    found["messages"] = float(len(messages))
    found["has_system"] = has_system


def _number(raw: Raw) -> float | None:
    try:
        value = _decode_number(raw)
    except msgspec.MsgspecError:  # null, or something that the engine will refuse
        return None
    return value if abs(value) < _ABSURD else None
