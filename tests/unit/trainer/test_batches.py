"""Rows as tokens: where the loss lies, what is cut, and in which order the rows come."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.chatdata import Row
from registry.errors import TrainingFailed
from tests.fakes.char_tokenizer import CharTokenizer
from tests.unit.trainer.rows import chat, chats
from trainer.batches import (
    NO_LOSS,
    BatchOrder,
    Example,
    micro_batch_size,
    pad,
    pad_sequences,
    tokenise,
)

TOKENIZER = CharTokenizer()


def learned(row: Row, *, max_length: int = 1000) -> str:
    """Return the text of a row's tokens that carry loss, `$` for the end of a turn."""
    [example] = tokenise(TOKENIZER, [row], max_length=max_length).examples
    return "".join("$" if label == 0 else chr(label) for label in example.labels if label >= 0)


def test_loss_lies_on_the_answer_and_its_end() -> None:
    """Only the answer and its end-of-turn token carry loss."""
    assert learned(chat(1, "how?", "so")) == "so$"


def test_every_answer_carries_loss() -> None:
    """In a conversation of several turns, each answer carries loss."""
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    row = Row(line=1, messages=[{"role": role, "content": text} for role, text in turns])
    assert learned(row) == "b$d$"


def test_weight_zero_carries_no_loss() -> None:
    """An answer with weight 0 is read and not learned."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "bad", "weight": 0},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "good"},
    ]
    assert learned(Row(line=1, messages=messages)) == "good$"


def test_completion_carries_loss() -> None:
    """A prompt–completion row is learned from its completion on."""
    assert learned(Row(line=1, prompt="2+2=", completion="4")) == "4$"


def test_first_token_is_no_target() -> None:
    """Nothing stands before the first token, so an empty prompt's first token carries no loss."""
    assert learned(Row(line=1, prompt="", completion="abc")) == "bc$"


def test_cut_row_is_reported_with_its_line() -> None:
    """A row beyond the longest length loses its end, and its line is named."""
    found = tokenise(TOKENIZER, [chat(3, "q", "x" * 50), chat(4, "q")], max_length=40)
    assert [len(example.input_ids) <= 40 for example in found.examples] == [True, True]
    [notice] = found.notices
    assert notice.level == "warn"
    assert "line 3" in notice.message


def test_row_without_targets_is_dropped_and_reported() -> None:
    """A row whose answer lies beyond the longest length is dropped, and its line is named."""
    found = tokenise(TOKENIZER, [chat(7, "q" * 99), chat(8, "q")], max_length=40)
    assert len(found.examples) == 1
    assert "line 7" in found.notices[0].message


def test_no_row_left_fails() -> None:
    """A file of which no row can be learned fails the job."""
    with pytest.raises(TrainingFailed, match="within 10 tokens") as caught:
        tokenise(TOKENIZER, [chat(1, "q" * 99)], max_length=10)
    assert caught.value.code == "invalid_training_file"


def test_refused_row_is_named() -> None:
    """A row that the chat template refuses fails the job and is named."""
    with pytest.raises(TrainingFailed, match="line 2"):
        tokenise(TOKENIZER, [chat(1, "q"), chat(2, "unrenderable")], max_length=99)


def test_padding_is_masked_and_carries_no_loss() -> None:
    """Short rows are padded on the right, outside mask and loss."""
    short = Example(input_ids=[5], labels=[NO_LOSS])
    long = Example(input_ids=[6, 7, 8], labels=[NO_LOSS, 7, 8])
    batch = pad([short, long], padding=9)
    assert batch.input_ids == [[5, 9, 9], [6, 7, 8]]
    assert batch.attention_mask == [[1, 0, 0], [1, 1, 1]]
    assert batch.labels == [[NO_LOSS] * 3, [NO_LOSS, 7, 8]]


@given(
    lengths=st.lists(st.integers(1, 500), min_size=1, max_size=200),
    batch_size=st.integers(1, 32),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 5),
)
def test_order_has_every_row_once(
    lengths: list[int], batch_size: int, seed: int, epoch: int
) -> None:
    """Each epoch has every row exactly once, in as many batches as announced."""
    order = BatchOrder(lengths, batch_size=batch_size, seed=seed)
    order.set_epoch(epoch)
    batches = list(order)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert len(batches) == len(order)


def test_order_depends_on_seed_and_epoch_alone() -> None:
    """The same seed and epoch give the same order, another epoch another."""

    def order(epoch: int) -> list[list[int]]:
        made = BatchOrder(list(range(1, 100)), batch_size=8, seed=3)
        made.set_epoch(epoch)
        return list(made)

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_order_groups_rows_of_similar_length() -> None:
    """Padding is a small part of the batches, though lengths differ much."""
    lengths = [1 + (row * 37) % 100 for row in range(512)]
    batches = list(BatchOrder(lengths, batch_size=16, seed=1))
    padded = sum(len(batch) * max(lengths[row] for row in batch) for batch in batches)
    assert padded < 1.15 * sum(lengths)


def test_micro_batch_divides_the_batch() -> None:
    """A batch too large for memory is split into equal parts."""
    assert micro_batch_size(16, longest=100) == 16
    assert micro_batch_size(16, longest=1000) == 4
    assert micro_batch_size(7, longest=1000) == 1


def test_places_begin_anew_with_each_row_of_a_sequence() -> None:
    """Rows that share a sequence have places of their own, and so has the padding."""
    one = Example(input_ids=[5, 6], labels=[NO_LOSS, 6])
    two = Example(input_ids=[7, 8, 9], labels=[NO_LOSS, 8, 9])
    batch = pad_sequences([[one, two], [two]], padding=0)
    assert batch.input_ids == [[5, 6, 7, 8, 9], [7, 8, 9, 0, 0]]
    assert batch.position_ids == [[0, 1, 0, 1, 2], [0, 1, 2, 0, 1]]
    assert batch.labels == [[NO_LOSS, 6, NO_LOSS, 8, 9], [NO_LOSS, 8, 9, NO_LOSS, NO_LOSS]]


def test_files_order_is_kept() -> None:
    """Tokenised rows stand in the file's order."""
    found = tokenise(TOKENIZER, chats(3), max_length=99)
    assert [len(example.input_ids) for example in found.examples] == [
        len("user>question 1") + 1 + len("assistant>yes") + 1
    ] * 3
