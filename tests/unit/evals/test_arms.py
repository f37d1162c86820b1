"""What each arm is asked."""

from typing import Any

import pytest

from evals.arms import Examples, choose_examples, question, target_text, with_examples
from evals.compare import ArmName
from registry.chatdata import Row
from registry.errors import Invalid
from tests.fakes.char_tokenizer import CharTokenizer


def _chat(prompt: str, answer: str, system: str | None = None) -> Row:
    head: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    return Row(line=1, messages=[*head, *turns])


def _text(prompt: str, completion: str) -> Row:
    return Row(line=1, prompt=prompt, completion=completion)


def _ask(row: Row, examples: list[Row], max_model_len: int = 500) -> Any:
    return question(
        ArmName.FEW_SHOT,
        0,
        row,
        model="base",
        examples=examples,
        tokenizer=CharTokenizer(),
        max_model_len=max_model_len,
    )


TRAINING = [_chat(f"question {n}", f"answer {n % 5}") for n in range(40)]


def _chosen(training: list[Row], count: int = 4, heldout: frozenset[str] = frozenset()) -> Examples:
    return choose_examples(training, heldout_prompts=heldout, count=count, seed=0)


def test_choice_is_fixed() -> None:
    """The same seed chooses the same examples."""
    assert _chosen(TRAINING) == _chosen(TRAINING)


def test_heldout_prompts_are_never_shown() -> None:
    """A training row whose prompt is on the exam is no example."""
    heldout = frozenset(row.prompt_digest for row in TRAINING[:38])
    assert {row.prompt_digest for row in _chosen(TRAINING, 4, heldout).chat} == {
        row.prompt_digest for row in TRAINING[38:]
    }


def test_examples_differ() -> None:
    """The examples have answers that are unlike one another."""
    assert len({row.target for row in _chosen(TRAINING).chat}) == 4


def test_examples_are_short() -> None:
    """A long row is not chosen where short ones are enough."""
    long = [_chat(f"long {n} " + "x" * 500, "y") for n in range(20)]
    assert all(len(row.target) < 20 for row in _chosen([*TRAINING, *long]).chat)
    assert not any("long" in str(row.messages) for row in _chosen([*TRAINING, *long]).chat)


def test_repeated_prompts_are_shown_once() -> None:
    """Duplicates give one example."""
    assert len(_chosen([TRAINING[0]] * 5).chat) == 1


def test_kinds_are_kept_apart() -> None:
    """A completion row gets completion examples, a conversation gets conversations."""
    found = _chosen([_text("p", "c"), *TRAINING])
    assert found.fitting(_text("q", "d")) == [_text("p", "c")]
    assert all(row.messages for row in found.fitting(TRAINING[0]))


def test_no_examples_when_none_are_wanted() -> None:
    """A policy with no examples gets none."""
    assert _chosen(TRAINING, 0) == Examples(chat=[], completion=[])


def test_examples_stand_as_turns() -> None:
    """In a conversation the examples follow the system message, without their own."""
    row = with_examples(_chat("now", "then", "be brief"), [_chat("a", "b", "other")])
    assert row.messages is not None
    assert [message["content"] for message in row.messages] == ["be brief", "a", "b", "now", "then"]


def test_examples_stand_as_text() -> None:
    """Before a completion the examples stand with their answers, and the answer ends at a gap."""
    asked = _ask(_text("2+2=", "4"), [_text("1+1=", "2")])
    assert (asked.prompt, asked.stop) == ("1+1=2\n\n2+2=", ["\n\n"])


def test_bare_completion_has_no_stop() -> None:
    """Without examples the prompt is sent as it is."""
    asked = _ask(_text("2+2=", "4"), [])
    assert (asked.prompt, asked.stop) == ("2+2=", [])


def test_examples_that_do_not_fit_are_left_out() -> None:
    """Only as many examples are shown as leave room for the answer."""
    asked = _ask(_chat("q", "a"), [_chat("x" * 20, "y"), _chat("z" * 400, "y")], 120)
    assert [message["content"] for message in asked.messages] == ["x" * 20, "y", "q"]


def test_a_row_that_is_too_long_is_refused() -> None:
    """A row that alone exceeds the context is unscored, with the numbers."""
    with pytest.raises(Invalid, match="the model takes 50"):
        _ask(_chat("q" * 60, "a"), [], 50)


def test_the_answer_is_cut_to_the_room_left() -> None:
    """Where the context leaves little room, the answer gets what is left."""
    asked = _ask(_chat("q" * 20, "a"), [], 50)
    assert asked.max_tokens == 50 - asked.target_start


def test_only_the_last_answer_is_the_target() -> None:
    """Earlier answers are part of the prompt, and weights do not reach the service."""
    row = Row(
        line=1,
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d", "weight": 0},
        ],
    )
    asked = _ask(row, [])
    assert CharTokenizer().decode(asked.token_ids[asked.target_start :]) == "d"
    assert all("weight" not in message for message in asked.messages)


def test_max_tokens_follow_the_target() -> None:
    """An answer may have twice the target's tokens and a margin."""
    assert _ask(_chat("q", "abc"), []).max_tokens == 2 * 4 + 16


def test_a_tool_call_is_a_target() -> None:
    """A target without text is what the template writes for it."""
    row = Row(
        line=1,
        messages=[
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": None, "tool_calls": [{}]},
        ],
    )
    assert target_text(CharTokenizer(), row) == "None"


def test_an_unrenderable_row_is_refused() -> None:
    """A row that the model's template refuses is unscored, with the template's words."""
    with pytest.raises(Invalid, match="no such template"):
        _ask(_chat("unrenderable", "a"), [])
