"""Texts that are compared: which words of an interaction, and what a classifier sees of them: pure.

It refuses to keep words beyond a comparison, and to know what they mean.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer

from registry.conversation import conversation_of

MAX_CHARACTERS = 1_000
"""Characters of a text that are looked at: its first."""
_FEATURES = 2**14
_GRAMS = (3, 3)


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What is compared of one interaction's text."""

    prompt: str
    """The beginning of the last message of the user, or of a bare prompt; empty if there is none.
    What was said before in a conversation is left out: it would tell one conversation from another.
    """
    answer: str
    """The beginning of the answer."""
    unit_hash: str | None
    """Hash of the unit, if the request had one."""


def words_of(request: Mapping[str, Any], answer: str, unit_hash: str | None) -> Words:
    """Return what is compared of a kept text."""
    return Words(
        prompt=_last_words(request)[:MAX_CHARACTERS],
        answer=answer[:MAX_CHARACTERS],
        unit_hash=unit_hash,
    )


def features_of(texts: Sequence[str]) -> csr_matrix:
    """Return a sparse matrix, one row for each text: its runs of three letters, hashed and counted.

    Shape (texts, 16,384); a row's length is 1, or 0 for an empty text. Nothing is learned from the
    texts, so that no fold knows of another; runs of letters need no words, so that every language
    will do.
    """
    vectorizer = HashingVectorizer(
        analyzer="char_wb", ngram_range=_GRAMS, n_features=_FEATURES, alternate_sign=False
    )
    found: csr_matrix = vectorizer.transform(texts)
    return found


def _last_words(request: Mapping[str, Any]) -> str:
    prompt = request.get("prompt")
    if isinstance(prompt, str):
        return prompt
    conversation = conversation_of(request)
    messages = [] if conversation is None else conversation["messages"]
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else ""
    return ""
