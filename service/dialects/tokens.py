"""Tokens without an answer: counted, made of text, made into text.

It refuses to keep these requests as interactions: no model answers.
"""

from service.dialects.dialect import Dialect
from service.dialects.shapes import Shape

TOKENIZE = Dialect(
    name="tokenize",
    path="/tokenize",
    summary="Return the tokens of a text ('prompt') or of a conversation ('messages').",
    required={},
    optional={"prompt": str, "messages": list},
    id_prefix="tokenize-",
    is_interaction=False,
)
"""Text to tokens."""
DETOKENIZE = Dialect(
    name="detokenize",
    path="/detokenize",
    summary="Return the text of tokens.",
    required={"tokens": list},
    id_prefix="detokenize-",
    is_interaction=False,
)
"""Tokens to text."""
COUNT_TOKENS = Dialect(
    name="messages.count_tokens",
    path="/v1/messages/count_tokens",
    summary="Count the tokens of a conversation as Anthropic's API does, without an answer.",
    required={"messages": list},
    id_prefix="count-",
    shape=Shape.ANTHROPIC,
    is_interaction=False,
)
"""The size of a conversation."""
