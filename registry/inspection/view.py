"""One row as the looks see it: its texts without the system prompt, and what is the same as what.

It refuses to know what is looked for.
"""

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from registry.chatdata import Row
from registry.likeness import normal

_HEARD = frozenset({"user", "assistant", "tool", "function"})


class View(NamedTuple):
    """What is looked at in one row."""

    row: Row
    """The row itself."""
    line: int
    """Its line in the file."""
    prompt: str
    """Everything said before the last answer, without system messages: those are boilerplate."""
    answer: str
    """The last answer."""
    identity: bytes
    """Hash of the whole row."""
    question: bytes
    """Hash of everything before the last answer, system messages and tools included, by its
    words alone: letter case, spaces and line breaks do not count."""
    reply: bytes
    """Hash of the answer's words, likewise, calls of tools included."""


def view_of(row: Row) -> View:
    """Return a row's view."""
    if row.messages is None:
        prompt, before = row.prompt or "", row.prompt or ""
        answer = reply = row.target
    else:
        last = row.messages[-1]
        spoken = [m for m in row.messages[:-1] if m.get("role") in _HEARD]
        prompt = "\n".join(str(m.get("content") or "") for m in spoken)
        before = "\n".join(_told(message) for message in row.messages[:-1]) + str(row.tools or "")
        answer, reply = row.target, _told(last)
    return View(
        row=row,
        line=row.line,
        prompt=prompt,
        answer=answer,
        identity=bytes.fromhex(row.digest)[:16],
        question=_hash(before),
        reply=_hash(reply),
    )


def texts_of(row: Row) -> Iterator[str]:
    """Yield every text of a row, system messages and calls of tools included."""
    if row.messages is None:
        yield row.prompt or ""
        yield row.completion or ""
    for message in row.messages or ():
        yield str(message.get("content") or "")
        if message.get("tool_calls"):
            yield str(message["tool_calls"])


def _told(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls")
    return f"{message.get('role')}\x1f{message.get('content') or ''}" + (
        str(calls) if calls else ""
    )


def _hash(text: str) -> bytes:
    return blake2b(normal(text).encode("utf-8", "surrogatepass"), digest_size=12).digest()
