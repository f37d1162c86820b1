"""A row as tokens: which of them are the prompt, and which carry loss.

It refuses to know models: the tokenizer comes in, and only its chat template is used. Trainer and
evals share it, so that the model is examined on exactly what it was trained for.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol, runtime_checkable

from registry.chatdata import Row
from registry.records import Record


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that rendering needs."""

    eos_token_id: int | None
    """The token that ends an answer."""

    def apply_chat_template(self, conversation: list[dict[str, Any]], **options: object) -> Any:  # noqa: ANN401 - transformers says so
        """Render a conversation by the model's own template."""

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of `text`."""

    def decode(self, token_ids: list[int]) -> str:
        """Return the text of the token ids."""


@runtime_checkable
class BatchTokenizer(Tokenizer, Protocol):
    """A tokenizer that takes many texts at once, as the fast ones do."""

    def __call__(self, text: list[str], **options: object) -> Mapping[str, Any]:
        """Return the `input_ids` of many texts."""


class Rendered(Record, frozen=True, kw_only=True):
    """A tokenised row."""

    token_ids: list[int]
    """The whole row, shape (length,)."""
    loss_mask: list[bool]
    """Whether each token carries loss, shape (length,)."""

    @property
    def target_start(self) -> int:
        """Index of the first token of the last answer that carries loss."""
        index = len(self.loss_mask)
        while index and self.loss_mask[index - 1]:
            index -= 1
        return index


def render(tokenizer: Tokenizer, row: Row) -> Rendered:
    """Tokenise a row; every answer carries loss, its end-of-turn token included.

    Messages with `weight` 0, and everything that is no answer, carry none. The mask is found by
    rendering growing prefixes of the conversation, which holds for every template that only
    appends; a template that rewrites earlier turns makes the longest common prefix count.
    """
    if row.messages is None:
        return _render_completion(tokenizer, row)
    mask_spans = [
        _answer_span(tokenizer, row, index)
        for index, message in enumerate(row.messages)
        if message["role"] == "assistant" and message.get("weight") != 0
    ]
    token_ids = _trim_after_last_answer(tokenizer, _tokens(tokenizer, row, len(row.messages)))
    mask = [False] * len(token_ids)
    for span in mask_spans:
        for position in span:
            if position < len(mask):
                mask[position] = True
    return Rendered(token_ids=token_ids, loss_mask=mask)


def prompt_tokens(tokenizer: Tokenizer, row: Row) -> list[int]:
    """Return the tokens before the last answer, as inference would send them."""
    if row.messages is None:
        return tokenizer.encode(row.prompt or "", add_special_tokens=True)
    return _tokens(tokenizer, row, len(row.messages) - 1, generate=True)


def lengths(tokenizer: BatchTokenizer, rows: Sequence[Row]) -> list[int]:
    """Return how many tokens `render` would make of each row, many rows at a time.

    Raises:
        TemplateError, ValueError, TypeError: The chat template refuses one of the rows.
    """
    found = [0] * len(rows)
    plain = [index for index, row in enumerate(rows) if row.messages is None]
    if plain:
        prompts = _ids(tokenizer, [rows[index].prompt or "" for index in plain], special=True)
        answers = _ids(tokenizer, [rows[index].completion or "" for index in plain])
        end = 0 if tokenizer.eos_token_id is None else 1
        for index, prompt, answer in zip(plain, prompts, answers, strict=True):
            found[index] = len(prompt) + len(answer) + end
    chats = [index for index, row in enumerate(rows) if row.messages and not row.tools]
    if chats:
        conversations = [
            [_without_weight(message) for message in rows[index].messages or ()] for index in chats
        ]
        texts = tokenizer.apply_chat_template(conversations, tokenize=False)  # type: ignore[arg-type] # many at once
        for index, tokens in zip(chats, _ids(tokenizer, texts), strict=True):
            found[index] = len(_trim_after_last_answer(tokenizer, tokens))
    for index, row in enumerate(rows):
        if row.messages and row.tools:
            tokens = _tokens(tokenizer, row, len(row.messages))
            found[index] = len(_trim_after_last_answer(tokenizer, tokens))
    return found


def _ids(tokenizer: BatchTokenizer, texts: list[str], *, special: bool = False) -> list[list[int]]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:  # transformers' own call builds three lists more for each text
        backend.no_truncation()
        backend.no_padding()
        encodings = backend.encode_batch_fast(texts, add_special_tokens=special)
        return [encoding.ids for encoding in encodings]
    token_ids: list[list[int]] = tokenizer(texts, add_special_tokens=special)["input_ids"]
    return token_ids


def template_sha256(tokenizer: Tokenizer) -> str | None:
    """Return the hash of a tokenizer's chat template; none where it has none."""
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        return None
    named = template if isinstance(template, str) else repr(sorted(dict(template).items()))
    return sha256(named.encode()).hexdigest()


def _render_completion(tokenizer: Tokenizer, row: Row) -> Rendered:
    prompt = tokenizer.encode(row.prompt or "", add_special_tokens=True)
    answer = tokenizer.encode(row.completion or "", add_special_tokens=False)
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    token_ids = [*prompt, *answer, *end]
    mask = [False] * len(prompt) + [True] * (len(token_ids) - len(prompt))
    return Rendered(token_ids=token_ids, loss_mask=mask)


def _answer_span(tokenizer: Tokenizer, row: Row, index: int) -> range:
    before = _tokens(tokenizer, row, index, generate=True)
    through = _trim_after_last_answer(tokenizer, _tokens(tokenizer, row, index + 1))
    return range(_common_prefix(before, through), len(through))


def _tokens(tokenizer: Tokenizer, row: Row, count: int, *, generate: bool = False) -> list[int]:
    messages = [_without_weight(message) for message in (row.messages or [])[:count]]
    rendered = tokenizer.apply_chat_template(
        messages,
        tools=row.tools,
        tokenize=True,
        add_generation_prompt=generate,
        return_dict=False,
    )
    return [int(token) for token in rendered]


def _trim_after_last_answer(tokenizer: Tokenizer, token_ids: list[int]) -> list[int]:
    """Drop what a template writes after the end-of-turn token, such as a line break."""
    end = tokenizer.eos_token_id
    for position in range(len(token_ids) - 1, max(len(token_ids) - 4, -1), -1):
        if token_ids[position] == end:
            return token_ids[: position + 1]
    return token_ids if end is None else [*token_ids, end]


def _without_weight(message: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in message.items() if key != "weight"}


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
