"""Lengths and the tokenised form of a row."""

from typing import Any

import pytest

from registry.chatdata import Row
from registry.inspection.examine import examine
from registry.inspection.records import Report
from registry.inspection.rowview import view_row
from registry.rendering import lengths, render, template_sha256
from tests.fakes.char_tokenizer import CharTokenizer, ManyCharTokenizer
from tests.unit.trainer.rows import chat

TOKENIZER = ManyCharTokenizer()
MAX_LENGTH = 60


def muted(first_weight: int | None) -> Row:
    """Return a conversation of two answers; the first may be muted."""
    first: dict[str, Any] = {"role": "assistant", "content": "bad"}
    if first_weight is not None:
        first["weight"] = first_weight
    messages = [
        {"role": "user", "content": "a"},
        first,
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "good"},
    ]
    return Row(line=3, messages=messages)


def report_on(*rows: Row) -> Report:
    """Return the report on some rows, with lengths."""
    return examine(rows, tokenizer=TOKENIZER, max_length=MAX_LENGTH)


def test_many_lengths_are_those_of_each() -> None:
    """Counting many rows at once gives what rendering each of them gives."""
    tools = Row(line=4, messages=muted(None).messages, tools=[{"type": "function"}])
    plain = Row(line=5, prompt="2+2=", completion="4")
    rows = [chat(1, "how?", "so"), muted(0), tools, plain]
    assert lengths(TOKENIZER, rows) == [len(render(TOKENIZER, row).token_ids) for row in rows]


def test_lengths_are_told_with_percentiles_and_a_histogram() -> None:
    """Every row is in one bar."""
    tokens = report_on(*(chat(n, "x" * n, "y") for n in range(1, 31))).tokens
    assert tokens is not None
    assert sum(bin_.rows for bin_ in tokens.histogram) == 30
    assert tokens.percentiles["p100"] - tokens.percentiles["p0"] == 29
    assert tokens.total == sum(bin_ for bin_ in range(19, 49))


def test_rows_that_are_too_long_are_told_apart() -> None:
    """A row that keeps some of its answer is truncated, one that keeps none is dropped."""
    found = report_on(chat(1, "how?", "so"), chat(2, "x", "y" * 99), chat(3, "x" * 99, "y"))
    assert found.tokens is not None
    assert found.tokens.truncated.lines == [2]
    assert found.tokens.dropped.lines == [3]
    assert [finding.kind for finding in found.findings[:2]] == ["dropped", "truncated"]


def test_rows_that_the_template_refuses_are_named() -> None:
    """One row that cannot be rendered does not hide the others."""
    found = report_on(chat(1, "how?", "so"), chat(2, "unrenderable", "y"))
    assert found.tokens is not None
    assert [note.line for note in found.tokens.refused.rows] == [2]
    assert found.tokens.percentiles["p100"] == len(
        render(TOKENIZER, chat(1, "how?", "so")).token_ids
    )


def test_a_row_shows_which_spans_carry_loss() -> None:
    """Text, spans and tokens agree, and tell the answer from the rest."""
    view = view_row(TOKENIZER, chat(7, "how?", "so"), max_length=MAX_LENGTH)
    assert [(span.text, span.carries_loss) for span in view.spans] == [
        ("user>how?assistant>", False),
        ("so", True),
    ]
    assert view.line == 7
    assert view.loss_tokens == len("so$")
    assert sum(span.tokens for span in view.spans) == len(view.tokens)
    assert view.template_sha256 == template_sha256(TOKENIZER)


def test_a_muted_answer_is_told_from_a_prompt() -> None:
    """What `weight` 0 keeps from being learnt is named."""
    view = view_row(TOKENIZER, muted(0), max_length=MAX_LENGTH)
    assert view.muted_messages == [1]
    assert [span.text for span in view.spans if span.muted] == ["bad"]
    assert [span.text for span in view.spans if span.carries_loss] == ["good"]


def test_what_is_cut_is_marked() -> None:
    """Tokens beyond the longest length are shown, and do not count."""
    view = view_row(TOKENIZER, chat(1, "x", "y" * 99), max_length=MAX_LENGTH)
    assert view.is_truncated
    assert sum(token.is_cut for token in view.tokens) == len(view.tokens) - MAX_LENGTH
    assert view.loss_tokens < 99


@pytest.mark.parametrize("template", ["a", {"default": "a", "tool_use": "b"}])
def test_another_template_has_another_hash(template: str | dict[str, str]) -> None:
    """A template's identity is its text; a tokenizer may have several, or none."""

    class Other(CharTokenizer):
        chat_template = template

    assert template_sha256(Other()) != template_sha256(TOKENIZER)
    assert template_sha256(CharTokenizer()) is None
