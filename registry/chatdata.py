"""Our own shapes of a training row, and a validation that names the line.

It refuses to know tokenizers and storage; it reads bytes line by line in bounded memory.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from json import loads
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from registry.errors import DataFault, InvalidData
from registry.records import Record

MAX_FAULTS = 20
"""Faults reported for one file before the validation gives up."""
MIN_TRAINING_ROWS = 10
"""Fewest rows a training file may have; OpenAI's limit."""
MAX_LINE_BYTES = 4 * 1024 * 1024
"""Longest line that is parsed."""
_MANY_FIELDS = 50
_MAX_SHOWN = 60
_BOM = b"\xef\xbb\xbf"
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_ONE_OBJECT = "Write one JSON object on each line, with double quotes and no trailing comma."
_REMEDIES = {
    b"[": "Write each object of the list on a line of its own, such as with jq -c '.[]' FILE.",
    b"{": f"{_ONE_OBJECT} An object over several lines must be written on one.",
}
_SHAPES = 'Write {"messages": […]} or {"prompt": "…", "completion": "…"} on each line.'
_SIDES = ("preferred_output", "non_preferred_output")

Content = TypeVar("Content")


class Entry(NamedTuple, Generic[Content]):
    """One example as it stands in a file."""

    line: int
    """Number of the line it begins on, from 1."""
    content: Content
    """What stands there."""


class Row(Record, frozen=True, kw_only=True):
    """One training example."""

    line: int
    """Line it begins on in the file, from 1; its number in a Parquet file."""
    messages: list[dict[str, Any]] | None = None
    """A conversation, when the row is one."""
    tools: list[dict[str, Any]] | None = None
    """Descriptions of the tools the conversation may use."""
    prompt: str | None = None
    """The prompt of a prompt–completion row."""
    completion: str | None = None
    """The completion of a prompt–completion row."""
    cluster: str | None = None
    """Which rows it belongs together with, such as those of its conversation or template."""
    segment: str | None = None
    """The group of rows it is reported with."""
    metric: Any = None
    """How an exam scores the answer, where the row says so; checked by the exam."""
    canary: bool = False
    """Whether it was planted to see what a model memorises."""
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
    texts = (
        Entry(number, line.removeprefix(_BOM) if number == 1 else line)
        for number, line in enumerate(lines, start=1)
    )
    return gather((entry for entry in texts if entry.content.strip()), parse_row)


def gather(
    entries: Iterable[Entry[Content]], parse: Callable[[int, Content], Row]
) -> Iterator[Row]:
    """Yield the rows that `parse` makes of a file's entries, and tell all faults together.

    Raises:
        InvalidData: At the end, if any entry was at fault, or where the file could not be read on;
            at most `MAX_FAULTS` are named.
    """
    faults: list[DataFault] = []
    try:
        for number, content in entries:
            try:
                yield parse(number, content)
            except InvalidData as exc:
                faults.extend(exc.faults)
                if len(faults) >= MAX_FAULTS:
                    raise InvalidData(tuple(faults[:MAX_FAULTS]), more=True) from exc
    except InvalidData as exc:
        if len(faults) >= MAX_FAULTS:
            raise
        raise InvalidData((*faults, *exc.faults)) from exc
    if faults:
        raise InvalidData(tuple(faults))


def validate(lines: Iterable[bytes]) -> Summary:
    """Check a whole data file in one pass.

    Raises:
        InvalidData: Lines are at fault, or there is no row at all.
    """
    return summarise(rows_of(lines))


def summarise(rows: Iterable[Row]) -> Summary:
    """Return what a file's rows are, in one pass.

    Raises:
        InvalidData: There is no row at all, or the rows could not be read.
    """
    seen: set[bytes] = set()  # half a hash: a file may have millions of rows
    duplicates: list[int] = []
    count = 0
    for row in rows:
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
    return row_from(number, parse_object(number, line))


def row_from(number: int, value: dict[str, Any]) -> Row:
    """Return the row that a JSON object in one of our own shapes is.

    Raises:
        InvalidData: With every fault of the row.
    """
    if "messages" in value:
        faults = [*_conversation_faults(number, value), *_annotation_faults(number, value)]
        if not faults:
            return Row(
                line=number,
                messages=value["messages"],
                tools=value.get("tools"),
                **_annotations(value),
            )
    elif "prompt" in value and "completion" in value:
        faults = [*_completion_faults(number, value), *_annotation_faults(number, value)]
        if not faults:
            return Row(
                line=number,
                prompt=value["prompt"],
                completion=value["completion"],
                **_annotations(value),
            )
    elif any(side in value for side in _SIDES):
        faults = list(_preference_faults(number, value))
        if not faults:
            return _preference(number, value)
    else:
        keys = ", ".join(name[:_MAX_SHOWN] for name in sorted(value)[:5]) or "no keys"
        faults = [DataFault(number, f"The row has {keys}.", _SHAPES)]
    raise InvalidData(tuple(faults))


def _annotations(value: dict[str, Any]) -> dict[str, Any]:
    """Return what a row says of itself, for the exams."""
    named = {key: value.get(key) for key in ("cluster", "segment")}
    texts = {key: None if label is None else str(label) for key, label in named.items()}
    canary = value.get("canary") is True
    return {**texts, "metric": value.get("metric"), "canary": canary}


def _annotation_faults(number: int, value: dict[str, Any]) -> Iterator[DataFault]:
    for key in ("cluster", "segment"):
        if not isinstance(value.get(key), str | int | None):
            yield DataFault(number, f"'{key}' is not a text.", "Write one name, or drop it.")


def parse_object(number: int, line: bytes) -> dict[str, Any]:
    """Return the JSON object on one line.

    Raises:
        InvalidData: It is no JSON object, too long, not UTF-8, or names a field twice.
    """
    if len(line) > MAX_LINE_BYTES:
        raise fault_of(number, f"The line has {len(line)} bytes.", "Shorten or split the row.")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as exc:
        message = f"The byte at position {exc.start} is not UTF-8."
        raise fault_of(number, message, "Save the file as UTF-8.") from exc
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as exc:
        remedy = _REMEDIES.get(line.lstrip()[:1], _ONE_OBJECT)
        raise fault_of(number, f"The line is not JSON ({exc}).", remedy) from exc
    if not isinstance(value, dict):
        remedy = _REMEDIES[b"["] if isinstance(value, list) else _SHAPES
        raise fault_of(number, "The line is not a JSON object.", remedy)
    if _may_repeat(line, value):
        _check_names(number, line)
    return value


def _may_repeat(line: bytes, value: dict[str, Any]) -> bool:
    """Return whether one of our names may stand twice in an object: quick, and at times wrong."""
    messages = value.get("messages")
    count = len(messages) if isinstance(messages, list) else 1
    if len(value) > _MANY_FIELDS:
        return True
    return any(line.count(f'"{name}"'.encode()) > 1 for name in value) or any(
        line.count(name) > count for name in (b'"role"', b'"content"', b'"weight"')
    )


def _check_names(number: int, line: bytes) -> None:
    def check(pairs: list[tuple[str, Any]]) -> None:
        name, count = Counter(name for name, _ in pairs).most_common(1)[0] if pairs else ("", 0)
        if count > 1:
            message = f"An object has the field {name[:40]!r} {count} times."
            raise fault_of(number, message, "Keep one of them.")

    try:
        loads(line, object_pairs_hook=check)
    except InvalidData:
        raise
    except (ValueError, RecursionError) as exc:
        raise fault_of(number, f"The line is not JSON ({exc}).", _ONE_OBJECT) from exc


def fault_of(number: int, message: str, remedy: str) -> InvalidData:
    """Return the error of a file with one fault; its place is a line, or 0 for the whole file."""
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
        yield DataFault(number, f"{where} has the role {repr(role)[:_MAX_SHOWN]}.", remedy)
        return
    weight = message.get("weight")
    if isinstance(weight, bool) or weight not in [None, 0, 1]:  # a list: it may be unhashable
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
