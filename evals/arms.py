"""What each arm is asked: the bare prompt, or the prompt with examples before it.

It refuses to know the network and the scores.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any

import msgspec

from evals.order import first_of_order, numbered
from registry.chatdata import Row
from registry.errors import Invalid
from registry.records import Record
from registry.rendering import Rendered, Tokenizer, render

POOL = 400
"""Training rows of each kind from which examples are chosen."""
ANSWER_MARGIN = 16
"""Tokens an answer may have beyond twice the target's."""
_SEPARATOR = "\n\n"


class Question(Record, frozen=True, kw_only=True):
    """One row, as one arm is asked it."""

    arm: str
    """Who is asked."""
    model: str
    """Name of the model behind the arm."""
    number: int
    """Row number in the held-out file, from 0."""
    prompt: str | None
    """The prompt of a prompt–completion row."""
    messages: list[dict[str, Any]] | None
    """The conversation before the answer, for a chat row."""
    tools: list[dict[str, Any]] | None
    """The tools of a chat row."""
    stop: list[str]
    """Texts at which the answer ends."""
    max_tokens: int
    """Most tokens the answer may have."""
    token_ids: list[int]
    """Prompt and target, tokenised."""
    target_start: int
    """Index of the target's first token."""
    target: str
    """The right answer."""
    wants_confidence: bool = False
    """Whether the answer's own log-probabilities are asked for too."""


class Examples(Record, frozen=True, kw_only=True):
    """The examples of the few-shot prompt, by the kind of row they fit."""

    chat: list[Row]
    """For conversations."""
    completion: list[Row]
    """For prompt–completion rows."""

    def fitting(self, row: Row) -> list[Row]:
        """Return the examples of the row's kind."""
        return self.completion if row.messages is None else self.chat


def choose_examples(
    training: Iterable[Row], *, heldout_prompts: Set[str], count: int, seed: int
) -> Examples:
    """Choose the examples of the few-shot prompt: short ones, unlike one another.

    Of a seeded pool of training rows, the shorter half stays; from it the shortest is taken, and
    then each time the one least like those taken. A row whose prompt occurs among the held-out
    rows is never taken.

    Args:
        training: The training rows.
        heldout_prompts: Digests of all held-out prompts.
        count: Examples wanted; fewer when there are fewer rows.
        seed: Seed of the pool.

    Raises:
        InvalidData: The training file has faulty rows.
    """
    pool = first_of_order(numbered(usable_rows(training, heldout_prompts)), POOL, seed)
    free = list({entry.row.prompt_digest: entry.row for entry in pool}.values())
    return Examples(
        chat=_diverse([row for row in free if row.messages is not None], count),
        completion=_diverse([row for row in free if row.messages is None], count),
    )


def usable_rows(training: Iterable[Row], heldout_prompts: Set[str]) -> Iterator[Row]:
    """Yield rows that may be examples: none on the exam, none ended by our separator.

    Raises:
        InvalidData: The training file has faulty rows.
    """
    return (row for row in training if _usable(row, heldout_prompts))


def question(
    arm: str,
    number: int,
    row: Row,
    *,
    model: str,
    examples: Sequence[Row],
    tokenizer: Tokenizer,
    max_model_len: int,
    closest_last: bool = False,
    wants_confidence: bool = False,
) -> Question:
    """Ask one row of one arm, with as many of the examples as fit the model's context.

    Args:
        arm: Who is asked.
        number: The row's number.
        row: The row.
        model: The model behind the arm.
        examples: The most important one first; the last ones are left out where room is short.
        tokenizer: The model's own.
        max_model_len: Longest sequence, in tokens.
        closest_last: Whether the most important example stands right before the prompt.
        wants_confidence: Whether the answer's own log-probabilities are asked for.

    Raises:
        Invalid: Even the bare prompt leaves no room for the target.
    """
    for count in range(len(examples), -1, -1):
        shown = examples[:count]
        asked = _graded(with_examples(row, shown[::-1] if closest_last else shown))
        rendered = _rendered(tokenizer, asked)
        start = rendered.target_start
        max_tokens = 2 * (len(rendered.token_ids) - start) + ANSWER_MARGIN
        room = max_model_len - start
        # The loss request sends prompt and target, and vLLM wants room for one more token.
        if max_tokens <= room or (not count and len(rendered.token_ids) < max_model_len):
            break
    else:
        raise Invalid(
            f"Prompt and target have {len(rendered.token_ids)} tokens; "
            f"the model takes {max_model_len}."
        )
    return Question(
        arm=arm,
        model=model,
        number=number,
        prompt=asked.prompt,
        messages=None if asked.messages is None else [_sent(m) for m in asked.messages[:-1]],
        tools=asked.tools,
        stop=[_SEPARATOR] if count and row.messages is None else [],
        max_tokens=min(max_tokens, room),
        token_ids=rendered.token_ids,
        target_start=start,
        target=row.target or _decoded(tokenizer, rendered),
        wants_confidence=wants_confidence,
    )


def target_text(tokenizer: Tokenizer, row: Row) -> str:
    """Return the right answer as text; a tool call's is what the chat template writes for it."""
    try:
        return row.target or _decoded(tokenizer, _rendered(tokenizer, _graded(row)))
    except Invalid:
        return ""  # no arm could be asked it either


def _decoded(tokenizer: Tokenizer, rendered: Rendered) -> str:
    return tokenizer.decode(rendered.token_ids[rendered.target_start : -1])


def with_examples(row: Row, examples: Sequence[Row]) -> Row:
    """Return the row with examples before its prompt.

    In a conversation they stand as turns after the system message, without their own system
    messages; before a completion they stand as text, each with its answer.
    """
    if not examples:
        return row
    if row.messages is None:
        shown = "".join(f"{ex.prompt}{ex.completion}{_SEPARATOR}" for ex in examples)
        return msgspec.structs.replace(row, prompt=f"{shown}{row.prompt}")
    head = [m for m in row.messages[:1] if _is_instruction(m)]
    turns = [
        message
        for example in examples
        for message in example.messages or []
        if not _is_instruction(message)
    ]
    return msgspec.structs.replace(row, messages=[*head, *turns, *row.messages[len(head) :]])


def with_instruction(row: Row, instruction: str) -> Row:
    """Return the row with an instruction before everything else it says."""
    if row.messages is None:
        return msgspec.structs.replace(row, prompt=f"{instruction}{_SEPARATOR}{row.prompt}")
    head = [m for m in row.messages[:1] if _is_instruction(m)]
    told = _SEPARATOR.join([instruction, *(str(message.get("content") or "") for message in head)])
    first = {"role": "system", "content": told}
    return msgspec.structs.replace(row, messages=[first, *row.messages[len(head) :]])


def _usable(row: Row, heldout_prompts: Set[str]) -> bool:
    """Return whether a row may be an example: not on the exam, and not ended by our separator."""
    return row.prompt_digest not in heldout_prompts and _SEPARATOR not in (row.completion or "")


def _graded(row: Row) -> Row:
    """Return the row with loss on its last answer only, whatever its weights say."""
    if row.messages is None:
        return row
    *before, answer = row.messages
    muted = [{**m, "weight": 0} if m["role"] == "assistant" else m for m in before]
    return msgspec.structs.replace(row, messages=[*muted, _sent(answer)])


def _diverse(rows: list[Row], count: int) -> list[Row]:
    by_length = sorted(rows, key=_length)
    candidates = by_length[: max(len(rows) // 2, count)]
    chosen = candidates[:1] if count else []
    while len(chosen) < min(count, len(candidates)):
        rest = [row for row in candidates if row not in chosen]
        chosen.append(max(rest, key=lambda row: min(_distance(row, one) for one in chosen)))
    return chosen


def _length(row: Row) -> int:
    return len(msgspec.json.encode((row.messages, row.prompt, row.completion)))


def _distance(first: Row, second: Row) -> float:
    """Return the Jaccard distance of the words of the answers."""
    one, other = set(first.target.split()), set(second.target.split())
    return 1 - len(one & other) / max(len(one | other), 1)


def _rendered(tokenizer: Tokenizer, row: Row) -> Rendered:
    try:
        return render(tokenizer, row)
    except Exception as exc:  # a model's own template may raise anything; only this row is lost
        raise Invalid(f"The row cannot be rendered: {exc}") from exc


def _is_instruction(message: dict[str, Any]) -> bool:
    return message["role"] in {"system", "developer"}


def _sent(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "weight"}
