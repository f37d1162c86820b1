"""Answers that are not what they should be."""

import json

import pytest

from evals import wire
from evals.arms import Question
from evals.compare import ArmName
from registry.errors import EngineError

ASKED = Question(
    arm=ArmName.BASE,
    model="base",
    number=0,
    prompt="p",
    messages=None,
    tools=None,
    stop=[],
    max_tokens=5,
    token_ids=[5, 6],
    target_start=1,
    target="t",
)


@pytest.mark.parametrize("content", [b"<html>", b'{"choices": []}', b'{"choices": [{}]}', b"\xff"])
def test_unreadable_answers_are_refusals(content: bytes) -> None:
    """What is no completion makes the row unscored."""
    with pytest.raises(EngineError):
        wire.read_text(content)


@pytest.mark.parametrize("logprobs", [None, [None], [None, None], [None, {"7": {"logprob": -1.0}}]])
def test_incomplete_logprobs_are_refusals(logprobs: object) -> None:
    """A loss is measured on the whole target or not at all."""
    content = json.dumps({"choices": [{"text": "", "prompt_logprobs": logprobs}]}).encode()
    with pytest.raises(EngineError):
        wire.read_measured(content, ASKED)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"error": {"message": "too long"}}', "too long"),
        (b"Bad Gateway", "Bad Gateway"),
        (b"", "no reason given"),
        (b"\xff", "\ufffd"),
    ],
)
def test_problems_say_what_they_can(content: bytes, said: str) -> None:
    """Any body of an error gives a reason."""
    assert wire.read_problem(content) == said
