"""Kept requests of every endpoint as conversations."""

from typing import Any

import pytest

from registry.conversation import conversation_of, words_of

ASKED = [{"role": "user", "content": "Where is my card?"}]
TOOL = {"name": "track", "description": "Finds a card."}
SCHEMA = {"type": "object", "properties": {}}
CHAT_TOOL = {"type": "function", "function": {**TOOL, "parameters": SCHEMA}}


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": [{"role": "system", "content": "Be brief."}, *ASKED], "tools": [CHAT_TOOL]},
        {
            "system": "Be brief.",
            "messages": ASKED,
            "tools": [{**TOOL, "input_schema": SCHEMA}],
        },
        {
            "system": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}],
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "Where is my card?"}]}
            ],
            "tools": [{**TOOL, "input_schema": SCHEMA}],
        },
        {
            "instructions": "Be brief.",
            "input": "Where is my card?",
            "tools": [{"type": "function", **TOOL, "parameters": SCHEMA}],
        },
        {
            "instructions": "Be brief.",
            "input": [
                {
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Where is my card?"}],
                }
            ],
            "tools": [{"type": "function", **TOOL, "parameters": SCHEMA}],
        },
    ],
    ids=["chat", "messages", "messages in blocks", "responses", "responses in items"],
)
def test_every_endpoint_makes_the_same_conversation(request_: dict[str, Any]) -> None:
    """Chat's words and chat's tools."""
    assert conversation_of(request_) == {
        "messages": [{"role": "system", "content": "Be brief."}, *ASKED],
        "tools": [CHAT_TOOL],
    }
    assert words_of(request_) == "Be brief.\nWhere is my card?"


def test_a_prompt_is_no_conversation() -> None:
    """It has words all the same; one of tokens has none."""
    assert conversation_of({"prompt": "Once"}) is None
    assert words_of({"prompt": "Once"}) == "Once"
    assert words_of({"prompt": [1, 2]}) == ""


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"messages": ["nonsense"]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
        {"input": [{"type": "function_call", "name": "track", "arguments": "{}"}]},
    ],
)
def test_what_is_not_text_stays_as_it_is(request_: dict[str, Any]) -> None:
    """Nothing is made up, and nothing is left out in silence."""
    spoken = request_.get("messages", request_.get("input"))
    assert conversation_of(request_) == {"messages": spoken}
    assert words_of(request_) == ""
