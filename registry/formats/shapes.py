"""What the fields of one example may be called, and how each shape becomes our own.

It refuses to know files, lines of text and tables: an example comes in as names and values.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from registry.chatdata import fault_of

Fields = dict[str, Any]
"""One example: the names of its fields and their values."""


class Format(StrEnum):
    """How the examples of a file are written."""

    CHAT = "chat"
    """`messages` with role and content."""
    COMPLETION = "prompt-completion"
    """`prompt` and `completion`, without a chat template."""
    PREFERENCE = "preference"
    """`input`, `preferred_output` and `non_preferred_output`."""
    SHAREGPT = "sharegpt"
    """`conversations` with `from` and `value`."""
    ALPACA = "alpaca"
    """`instruction`, perhaps `input`, and `output`."""
    QUESTIONS = "question-answer"
    """One question and one answer in two columns."""
    CHATML = "chatml"
    """`text` with `<|im_start|>` and `<|im_end|>`."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One way to write an example."""

    format: Format
    """Its name."""
    required: tuple[str, ...]
    """Fields that every example has."""
    optional: tuple[str, ...] = ()
    """Fields that an example may have; others are not used."""
    convert: Callable[[int, Fields], Fields]
    """Makes our own shape of it: line number and fields in, `messages` or `prompt` out."""

    @property
    def names(self) -> tuple[str, ...]:
        """Every field that is used."""
        return self.required + self.optional


START, END = "<|im_start|>", "<|im_end|>"
_TURN = re.compile(r"\s*<\|im_start\|>([a-z]+)\r?\n(.*?)<\|im_end\|>", re.DOTALL)
_SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
}
_MAX_SHOWN = 40


def shape_of(names: Iterable[str], text: object = None) -> Shape | None:
    """Return the shape of an example with fields of these names; none when there is none.

    Args:
        names: The names.
        text: The field `text`, if there is one: it counts only where it is ChatML. A table's
            header does not tell, and passes `START`.
    """
    given = set(names)
    for shape in SHAPES:
        if given.issuperset(shape.required) and (
            shape.format is not Format.CHATML or (isinstance(text, str) and START in text)
        ):
            return shape
    return None


def _as_it_is(_number: int, fields: Fields) -> Fields:
    return fields


def _from_sharegpt(number: int, fields: Fields) -> Fields:
    turns = fields["conversations"]
    if not isinstance(turns, list) or not turns:
        remedy = 'Write [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}].'
        raise fault_of(number, "'conversations' is not a list with entries.", remedy)
    messages = [_turn(number, index, turn) for index, turn in enumerate(turns)]
    if fields.get("system"):
        messages.insert(0, {"role": "system", "content": fields["system"]})
    whole: Fields = {"messages": messages}
    if fields.get("tools"):
        whole["tools"] = _tools(number, fields["tools"])
    return whole


def _turn(number: int, index: int, turn: object) -> Fields:
    where = f"conversations[{index}]"
    if not isinstance(turn, dict):
        raise fault_of(number, f"{where} is not an object.", "Write from and value.")
    speaker, said = turn.get("from", turn.get("role")), turn.get("value", turn.get("content"))
    role = _SPEAKERS.get(speaker.lower()) if isinstance(speaker, str) else None
    if role is None:
        known = ", ".join(_SPEAKERS)
        raise fault_of(number, f"{where} is from {_shown(speaker)}.", f"Use one of {known}.")
    message: Fields = {"role": role, "content": said}
    return message | ({"weight": turn["weight"]} if "weight" in turn else {})


def _tools(number: int, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as exc:
        message = f"'tools' is text that is not JSON ({exc})."
        raise fault_of(number, message, "Write OpenAI's list of tools.") from exc


def _from_alpaca(number: int, fields: Fields) -> Fields:
    asked = _text(number, fields, "instruction")
    more = _text(number, fields, "input", may_lack=True)
    question = f"{asked}\n\n{more}" if asked.strip() and more.strip() else asked or more
    return _asked(number, fields, question, "output")


def _from_pair(question: str, answer: str) -> Callable[[int, Fields], Fields]:
    def convert(number: int, fields: Fields) -> Fields:
        return _asked(number, fields, _text(number, fields, question), answer)

    return convert


def _asked(number: int, fields: Fields, question: str, answer_name: str) -> Fields:
    answer = _text(number, fields, answer_name)
    if not question.strip():
        raise fault_of(number, "The question is empty.", "Write it, or drop the row.")
    if not answer.strip():
        raise fault_of(number, f"'{answer_name}' is empty.", "Write the answer, or drop the row.")
    system = _text(number, fields, "system", may_lack=True)
    messages = [{"role": "system", "content": system}] if system.strip() else []
    messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages}


def _text(number: int, fields: Fields, name: str, *, may_lack: bool = False) -> str:
    value = fields.get(name)
    if value is None and may_lack:
        return ""
    if not isinstance(value, str):
        raise fault_of(number, f"'{name}' is not a string.", "Write it as text.")
    return value


def _from_chatml(number: int, fields: Fields) -> Fields:
    text = fields["text"]
    if not isinstance(text, str) or START not in text:
        message = f"'text' has no {START}, unlike the file's first row."
        raise fault_of(number, message, f"Write {START}role, a line break, the words and {END}.")
    messages, place = [], 0
    while found := _TURN.match(text, place):
        messages.append({"role": found[1], "content": found[2]})
        place = found.end()
    if text[place:].strip() or any(START in message["content"] for message in messages):
        message = f"Turn {len(messages) + 1} of 'text' has no {END}, or something stands around it."
        remedy = f"Write each turn as {START}role, a line break, the words and {END}."
        raise fault_of(number, message, remedy)
    return {"messages": messages}


def _shown(value: object) -> str:
    return repr(value)[:_MAX_SHOWN]


SHAPES: tuple[Shape, ...] = (
    Shape(format=Format.CHAT, required=("messages",), optional=("tools",), convert=_as_it_is),
    Shape(
        format=Format.SHAREGPT,
        required=("conversations",),
        optional=("system", "tools"),
        convert=_from_sharegpt,
    ),
    Shape(
        format=Format.PREFERENCE,
        required=("input", "preferred_output", "non_preferred_output"),
        convert=_as_it_is,
    ),
    Shape(
        format=Format.ALPACA,
        required=("instruction", "output"),
        optional=("input", "system"),
        convert=_from_alpaca,
    ),
    Shape(format=Format.COMPLETION, required=("prompt", "completion"), convert=_as_it_is),
    *(
        Shape(
            format=Format.QUESTIONS,
            required=(question, answer),
            optional=("system",),
            convert=_from_pair(question, answer),
        )
        for question, answer in (
            ("question", "answer"),
            ("prompt", "response"),
            ("instruction", "response"),
            ("input", "output"),
        )
    ),
    Shape(format=Format.CHATML, required=("text",), convert=_from_chatml),
)
"""Every shape; the first whose required fields are there is taken."""
KNOWN_FIELDS = "; ".join(
    dict.fromkeys(", ".join(shape.required) for shape in SHAPES)  # in order, none twice
)
"""The sets of names, for messages."""
OURS = frozenset({Format.CHAT, Format.COMPLETION, Format.PREFERENCE})
"""Formats that need no conversion and may stand in one file."""
