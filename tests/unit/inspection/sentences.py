"""Rows of made-up words, as many and as different as wanted.

It refuses to know what is planted in them.
"""

import random
from collections.abc import Sequence
from typing import Any

_ONSETS = (
    "b",
    "br",
    "c",
    "d",
    "f",
    "g",
    "gl",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "v",
)
_VOWELS = ("a", "e", "i", "o", "u", "ea", "ou")
_CODAS = ("", "n", "r", "s", "t", "l", "nd", "rk", "m")


def vocabulary(generator: random.Random, count: int) -> list[str]:
    """Return words."""
    return ["".join(_syllables(generator)) for _ in range(count)]


def sentence(generator: random.Random, words: Sequence[str], end: str = ".") -> str:
    """Return a sentence of 8 to 20 words, the commoner the earlier in the vocabulary."""
    count = generator.randint(8, 20)
    chosen = [words[int(len(words) * generator.random() ** 2)] for _ in range(count)]
    return " ".join(chosen).capitalize() + end


def row_of(generator: random.Random, words: Sequence[str]) -> dict[str, Any]:
    """Return a conversation: a question of two sentences and an answer of two."""
    asked = f"{sentence(generator, words)} {sentence(generator, words, '?')}"
    said = f"{sentence(generator, words)} {sentence(generator, words)}"
    return {
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that answers in full."},
            {"role": "user", "content": asked},
            {"role": "assistant", "content": said},
        ]
    }


def _syllables(generator: random.Random) -> list[str]:
    return [
        generator.choice(_ONSETS) + generator.choice(_VOWELS) + generator.choice(_CODAS)
        for _ in range(generator.randint(1, 3))
    ]
