"""Rows as batches of tokens: cut to length, grouped by length, shuffled by seed.

It refuses to know models and tensors. No row is cut or dropped in silence.
"""

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from jinja2 import TemplateError

from registry.chatdata import MAX_FAULTS, Row
from registry.errors import TrainingFailed
from registry.inspection.findings import name_lines
from registry.planning.memory import MICRO_BATCH_TOKENS
from registry.records import Record
from registry.rendering import Tokenizer, render
from trainer.protocol import Notice

NO_LOSS = -100
"""The label of a token that carries no loss, by PyTorch's convention."""
POOL_BATCHES = 8
"""Batches that are sorted by length together: less padding, and still a random order."""


class Example(Record, frozen=True, kw_only=True):
    """One tokenised row."""

    input_ids: list[int]
    """Token ids, shape (length,)."""
    labels: list[int]
    """The same where a token carries loss, else `NO_LOSS`, shape (length,)."""

    @property
    def targets(self) -> int:
        """Tokens that carry loss."""
        return sum(label != NO_LOSS for label in self.labels)

    @property
    def length(self) -> int:
        """Tokens that go through the model, its padding to equal rows included."""
        return len(self.input_ids)


class Preference(Example, frozen=True, kw_only=True):
    """Two tokenised answers to the same; the example itself is the better one."""

    rejected: Example
    """The worse one."""
    reference: list[float] | None = None
    """Log-probability, in nats, of the better and the worse answer before the first step."""

    @property
    def targets(self) -> int:
        """Tokens that carry loss in both answers; 0 when one of them has none."""
        better, worse = super().targets, self.rejected.targets
        return better + worse if better and worse else 0

    @property
    def length(self) -> int:
        """Tokens that go through the model for both answers."""
        return 2 * max(len(self.input_ids), len(self.rejected.input_ids))


class Tokenised(Record, frozen=True, kw_only=True):
    """The rows of a file as tokens."""

    examples: list[Example]
    """In the file's order."""
    notices: list[Notice]
    """Rows that were cut or dropped."""


class PaddedBatch(Record, frozen=True, kw_only=True):
    """Sequences of equal length, padded on the right."""

    input_ids: list[list[int]]
    """Token ids, shape (sequences, length)."""
    attention_mask: list[list[int]]
    """1 for tokens, 0 for padding, shape (sequences, length)."""
    position_ids: list[list[int]]
    """Places of the tokens in their own row, from 0, shape (sequences, length)."""
    labels: list[list[int]]
    """Targets, shape (sequences, length)."""


def tokenise(
    tokenizer: Tokenizer, rows: Sequence[Row], *, max_length: int, kind: str = "training"
) -> Tokenised:
    """Return the rows as tokens, each at most `max_length` long.

    A longer row loses its end; one that loses all its targets is dropped. Both are reported with
    their lines.

    Raises:
        TrainingFailed: With code `invalid_training_file` (or `invalid_validation_file`): the chat
            template refuses rows, or none is left.
    """
    examples: list[Example] = []
    cut: list[int] = []
    dropped: list[int] = []
    refused: list[str] = []
    for row in rows:
        try:
            whole = _example(tokenizer, row)
        except (TemplateError, ValueError, TypeError) as exc:
            refused.append(f"- line {row.line}: {exc}")
            if len(refused) == MAX_FAULTS:
                break
            continue
        example = _cut(whole, max_length)
        if not example.targets:
            dropped.append(row.line)
            continue
        if example.length < whole.length:
            cut.append(row.line)
        examples.append(example)
    if refused or not examples:
        raise _unusable(kind, refused, max_length)
    return Tokenised(examples=examples, notices=list(_notices(kind, cut, dropped, max_length)))


def pad(examples: Sequence[Example], padding: int) -> PaddedBatch:
    """Return examples as one batch, each a sequence; padding is masked and carries no loss."""
    return pad_sequences([[example] for example in examples], padding)


def pad_sequences(sequences: Sequence[Sequence[Example]], padding: int) -> PaddedBatch:
    """Return sequences of one or more examples as one batch; padding carries no loss.

    The places begin at 0 with each example, and with the padding, which is an example of its own
    as far as attention is concerned.
    """
    whole = [sum(len(example.input_ids) for example in sequence) for sequence in sequences]
    pairs = [(sequence, max(whole) - n) for sequence, n in zip(sequences, whole, strict=True)]
    return PaddedBatch(
        input_ids=[_joined(e.input_ids for e in part) + [padding] * n for part, n in pairs],
        attention_mask=[[1] * (max(whole) - n) + [0] * n for _, n in pairs],
        position_ids=[
            _joined(range(len(e.input_ids)) for e in part) + list(range(n)) for part, n in pairs
        ],
        labels=[_joined(e.labels for e in part) + [NO_LOSS] * n for part, n in pairs],
    )


def micro_batch_size(batch_size: int, longest: int) -> int:
    """Return how many rows go through the model at once: a divisor of `batch_size`."""
    most = max(1, MICRO_BATCH_TOKENS // longest)
    return max(n for n in range(1, min(most, batch_size) + 1) if batch_size % n == 0)


class BatchOrder:
    """The order of the rows: a function of seed and epoch, so that a resumed run repeats it.

    It has the interface of a PyTorch batch sampler, and each of its batches is an optimiser step.
    Rows are shuffled, sorted by length within pools of `POOL_BATCHES` steps, and the steps are
    shuffled again.
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, whose order the next iteration gives."""
        self._epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self._batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches()

    def _batches(self) -> list[list[int]]:
        generator = random.Random(f"{self._seed}:{self._epoch}")  # noqa: S311 - an order, no secret
        order = list(range(len(self._lengths)))
        generator.shuffle(order)
        pool = self._batch_size * POOL_BATCHES
        for start in range(0, len(order), pool):
            part = order[start : start + pool]
            order[start : start + pool] = sorted(part, key=lambda row: self._lengths[row])
        size = self._batch_size
        whole = len(order) // size * size
        batches = [order[start : start + size] for start in range(0, whole, size)]
        generator.shuffle(batches)
        # The short batch stays last, so that a step's number tells its epoch.
        return [*batches, order[whole:]] if whole < len(order) else batches


def _example(tokenizer: Tokenizer, row: Row) -> Example:
    if row.rejected is None:
        return _rendered(tokenizer, row)
    before = [_unweighted(message) for message in (row.messages or [])[:-1]]
    better = _rendered(tokenizer, _with_answer(row, before, (row.messages or [])[-1:]))
    return Preference(
        input_ids=better.input_ids,
        labels=better.labels,
        rejected=_rendered(tokenizer, _with_answer(row, before, row.rejected)),
    )


def _with_answer(row: Row, before: list[dict[str, Any]], answer: list[dict[str, Any]]) -> Row:
    messages = [*before, *({**message, "weight": 1} for message in answer)]
    return Row(line=row.line, messages=messages, tools=row.tools)


def _unweighted(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message of the input, of which nothing is compared."""
    return {**message, "weight": 0} if message["role"] == "assistant" else message


def _rendered(tokenizer: Tokenizer, row: Row) -> Example:
    rendered = render(tokenizer, row)
    labels = [
        token if carries else NO_LOSS
        for token, carries in zip(rendered.token_ids, rendered.loss_mask, strict=True)
    ]
    labels[:1] = [NO_LOSS]  # nothing stands before the first token that could predict it
    return Example(input_ids=rendered.token_ids, labels=labels)


def _joined(parts: Iterable[Iterable[int]]) -> list[int]:
    return list(chain.from_iterable(parts))


def _cut(example: Example, max_length: int) -> Example:
    ids, labels = example.input_ids[:max_length], example.labels[:max_length]
    if isinstance(example, Preference):
        rejected = _cut(example.rejected, max_length)
        return Preference(input_ids=ids, labels=labels, rejected=rejected)
    return Example(input_ids=ids, labels=labels)


def _unusable(kind: str, refused: list[str], max_length: int) -> TrainingFailed:
    message = f"No row of the {kind} file has an answer within {max_length} tokens."
    if refused:
        listing = "\n".join(refused)
        message = f"The base model's chat template refuses rows of the {kind} file:\n{listing}"
    return TrainingFailed(f"invalid_{kind}_file", message, f"{kind}_file")


def _notices(kind: str, cut: list[int], dropped: list[int], max_length: int) -> Iterator[Notice]:
    if cut:
        message = (
            f"{len(cut)} {kind} rows are longer than {max_length} tokens and lose their end: "
            f"{name_lines(cut)}."
        )
        yield Notice(level="warn", message=message)
    if dropped:
        message = (
            f"{len(dropped)} {kind} rows have no answer within {max_length} tokens and are left "
            f"out: {name_lines(dropped)}."
        )
        yield Notice(level="warn", message=message)
