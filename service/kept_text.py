"""What is kept of a request whose text the project wants: what was said, and nothing else.

It refuses to know who wants it.
"""

from typing import Any

import msgspec

from registry.records import Interaction, InteractionText, Record

MAX_TEXT_BYTES = 256 * 1024
"""Largest request, and largest answer, whose text is kept."""
_TOOLS = "tools"
_SPOKEN = frozenset({"messages", "prompt", "input"})
_NUL, _REPLACEMENT = "\x00", "\ufffd"


class KeptText(Record, frozen=True, kw_only=True):
    """A request and its answer as they came."""

    request: bytes
    """The request's body."""
    answer: str | None
    """The answer's text; none when there was none or too much."""
    prompt_fields: tuple[str, ...] = ("messages", "prompt")
    """Fields of the request with the words for the model; they and its tools are kept."""

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return len(self.request) + 4 * len(self.answer or "")


def text_of(interaction: Interaction, text: KeptText) -> InteractionText | None:
    """Return what is stored; none when it is too long, cannot be read or says nothing."""
    if not text.answer or max(len(text.request), len(text.answer.encode())) > MAX_TEXT_BYTES:
        return None
    try:
        body = msgspec.json.decode(text.request, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    kept = (*text.prompt_fields, _TOOLS)
    request = {name: _storable(body[name]) for name in kept if body.get(name)}
    if not _SPOKEN & set(request):
        return None
    return InteractionText(
        interaction_id=interaction.id,
        project=interaction.project,
        request=request,
        answer=text.answer.replace(_NUL, _REPLACEMENT),
        created_at=interaction.created_at,
    )


def _storable(value: object) -> object:
    """Return a value without NUL characters, which PostgreSQL does not store."""
    if isinstance(value, str):
        return value.replace(_NUL, _REPLACEMENT)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {str(_storable(name)): _storable(each) for name, each in value.items()}
    return value
