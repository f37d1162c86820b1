"""The JSONL formats of training data, and a validation that names the line.

It refuses to know tokenizers and storage; it reads bytes line by line in bounded memory.
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import msgspec

from registry.errors import DataFault, InvalidData
from registry.records import Record

MAX_FAULTS = 20
"""Faults reported for one file before the validation gives up."""
MIN_TRAINING_ROWS = 10
"""Fewest rows a training file may have; OpenAI's limit."""
MAX_LINE_BYTES = 4 * 1024 * 1024
"""Longest line that is parsed."""
_BOM = b"\xef\xbb\xbf"
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_SHAPES = 'Write {"messages": […]} or {"prompt": "…", "completion": "…"} on each line.'
_SIDES = ("preferred_output", "non_preferred_output")


class Row(Record, frozen=True, kw_only=True):
    """One training example."""

    line: int
    """Line number in the file, from 1."""
    messages: list[dict[str, Any]] | None = None
    """A conversation, when the row is one."""
    tools: list[dict[str, Any]] | None = None
    """Descriptions of the tools the conversation may use."""
    prompt: str | None = None
    """The prompt of a prompt–completion row."""
    completion: str | None = None
    """The completion of a prompt–completion row."""
    rejected: list[dict[str, Any]] | None = None
    """The worse answer, when the row is a preference; `messages` end with the better one."""

    @property
    def digest(self) -> str:
        """Hash of the content, without the line number."""
        content: tuple[object, ...] = (self.messages, self.tools, self.prompt, self.completion)
        if self.rejected is not None:
            content += (self.rejected,)
        return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()

    @property
    def prompt_digest(self) -> str:
        """Hash of everything before the last answer."""
        before = self.messages[:-1] if self.messages else self.prompt
        return sha256(msgspec.json.encode(before, order="sorted")).hexdigest()

    @property
    def target(self) -> str:
        """The text of the last answer."""
        if self.messages is None:
            return self.completion or ""
        return str(self.messages[-1].get("content") or "")


class Summary(Record, frozen=True, kw_only=True):
    """What a validation found in a file without faults."""

    rows: int
    """Rows of data."""
    duplicate_lines: list[int]
    """Lines that repeat an earlier row, in order."""


def rows_of(lines: Iterable[bytes]) -> Iterator[Row]:
    """Yield the rows of a data file.

    Args:
        lines: The file's lines, such as an open binary file. A byte-order mark and Windows line
            ends are accepted; empty lines are skipped.

    Raises:
        InvalidData: At the end, if any line was at fault; at most `MAX_FAULTS` are named.
    """
    faults: list[DataFault] = []
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.strip():
            continue
        try:
            yield parse_row(number, text)
        except InvalidData as exc:
            faults.extend(exc.faults)
            if len(faults) >= MAX_FAULTS:
                raise InvalidData(tuple(faults[:MAX_FAULTS]), more=True) from exc
    if faults:
        raise InvalidData(tuple(faults))


def validate(lines: Iterable[bytes]) -> Summary:
    """Check a whole data file in one pass.

    Raises:
        InvalidData: Lines are at fault, or there is no row at all.
    """
    seen: set[bytes] = set()  # half a hash: a file may have millions of rows
    duplicates: list[int] = []
    count = 0
    for row in rows_of(lines):
        count += 1
        digest = bytes.fromhex(row.digest)[:16]
        if digest in seen:
            duplicates.append(row.line)
        seen.add(digest)
    if not count:
        raise InvalidData((DataFault(0, "The file has no rows.", _SHAPES),))
    return Summary(rows=count, duplicate_lines=duplicates)


def parse_row(number: int, line: bytes) -> Row:
    """Return the row on one line.

    Raises:
        InvalidData: With every fault of the line.
    """
    value = _parse_json(number, line)
    if "messages" in value:
        faults = list(_conversation_faults(number, value))
        if not faults:
            return Row(line=number, messages=value["messages"], tools=value.get("tools"))
    elif "prompt" in value and "completion" in value:
        faults = list(_completion_faults(number, value))
        if not faults:
            return Row(line=number, prompt=value["prompt"], completion=value["completion"])
    elif any(side in value for side in _SIDES):
        faults = list(_preference_faults(number, value))
        if not faults:
            return _preference(number, value)
    else:
        keys = ", ".join(sorted(value)[:5]) or "no keys"
        faults = [DataFault(number, f"The row has {keys}.", _SHAPES)]
    raise InvalidData(tuple(faults))


def _parse_json(number: int, line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE_BYTES:
        raise _fault(number, f"The line has {len(line)} bytes.", "Shorten or split the row.")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as exc:
        message = f"The byte at position {exc.start} is not UTF-8."
        raise _fault(number, message, "Save the file as UTF-8.") from exc
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as exc:
        remedy = "Write one JSON object on each line, with double quotes and no trailing comma."
        raise _fault(number, f"The line is not JSON ({exc}).", remedy) from exc
    if not isinstance(value, dict):
        raise _fault(number, "The line is not a JSON object.", _SHAPES)
    return value


def _fault(number: int, message: str, remedy: str) -> InvalidData:
    return InvalidData((DataFault(number, message, remedy),))


def _completion_faults(number: int, value: dict[str, Any]) -> Iterator[DataFault]:
    for key in ("prompt", "completion"):
        if not isinstance(value[key], str):
            yield DataFault(number, f"'{key}' is not a string.", "Write it as text.")
        elif key == "completion" and not value[key].strip():
            yield DataFault(number, "'completion' is empty.", "Write the answer, or drop the row.")


def _conversation_faults(number: int, value: dict[str, Any]) -> Iterator[DataFault]:
    messages, tools = value["messages"], value.get("tools")
    if not isinstance(messages, list) or not messages:
        yield DataFault(number, "'messages' is not a list with entries.", _SHAPES)
        return
    if tools is not None and not _is_list_of_objects(tools):
        yield DataFault(number, "'tools' is not a list of objects.", "Use OpenAI's tool format.")
    for index, message in enumerate(messages):
        yield from _message_faults(number, index, message)
    answers = [m for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    if not answers:
        remedy = "Add the answer that the model should learn."
        yield DataFault(number, "There is no assistant message.", remedy)
    elif messages[-1] is not answers[-1]:
        remedy = "End the conversation with the answer that the model should learn."
        yield DataFault(number, "The last message is not the assistant's.", remedy)
    elif all(m.get("weight") == 0 for m in answers):
        remedy = "Give at least one answer weight 1, or drop the row."
        yield DataFault(number, "Every assistant message has weight 0.", remedy)


def _message_faults(number: int, index: int, message: object) -> Iterator[DataFault]:
    where = f"messages[{index}]"
    if not isinstance(message, dict):
        yield DataFault(number, f"{where} is not an object.", "Write role and content.")
        return
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        remedy = f"Use one of {', '.join(_ROLES)}."
        yield DataFault(number, f"{where} has the role {role!r}.", remedy)
        return
    if message.get("weight") not in [None, 0, 1]:  # a list: the value may be unhashable
        yield DataFault(number, f"{where} has a weight other than 0 or 1.", "Use 0 or 1.")
    calls = message.get("tool_calls")
    if calls is not None and not _is_list_of_objects(calls):
        yield DataFault(number, f"{where}.tool_calls is not a list.", "Use OpenAI's format.")
    elif content is None and role == "assistant" and calls:
        return
    elif not isinstance(content, str):
        remedy = "Write the content as text; images and other parts are not trained on."
        yield DataFault(number, f"{where} has no text content.", remedy)
    elif not content.strip() and role in {"user", "assistant"}:
        yield DataFault(number, f"{where} has empty content.", "Write it, or drop the row.")


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _preference(number: int, value: dict[str, Any]) -> Row:
    asked = value["input"]
    return Row(
        line=number,
        messages=[*asked["messages"], *value["preferred_output"]],
        tools=asked.get("tools"),
        rejected=value["non_preferred_output"],
    )


def _preference_faults(number: int, value: dict[str, Any]) -> Iterator[DataFault]:
    asked = value.get("input")
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list):
        remedy = 'Write {"messages": […]}, and "tools" if there are any.'
        yield DataFault(number, "'input' has no list of messages.", remedy)
        return
    sides = [value.get(name) for name in _SIDES]
    for name, side in zip(_SIDES, sides, strict=True):
        if not isinstance(side, list) or len(side) != 1 or not _is_answer(side[0]):
            remedy = 'Write [{"role": "assistant", "content": "…"}].'
            yield DataFault(number, f"'{name}' is not one assistant message.", remedy)
            return
        messages = [*asked["messages"], *side]
        for fault in _conversation_faults(number, {"messages": messages, **_tools_of(asked)}):
            yield DataFault(number, f"With '{name}': {fault.message}", fault.remedy)
    if not asked["messages"] or _is_answer(asked["messages"][-1]):
        remedy = "End the input with what the answers reply to."
        yield DataFault(number, "'input' is empty or ends with an assistant message.", remedy)
    if sides[0] == sides[1]:
        remedy = "Write two different answers, or drop the row."
        yield DataFault(number, "Both outputs are the same.", remedy)


def _tools_of(asked: dict[str, Any]) -> dict[str, Any]:
    return {"tools": asked["tools"]} if "tools" in asked else {}


def _is_answer(message: object) -> bool:
    return isinstance(message, dict) and message.get("role") == "assistant"
