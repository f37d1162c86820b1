"""Rows on which the engine shows that it applies an imported adapter.

It refuses to know what the adapter was trained for: a change of any text is a change.
"""

from collections.abc import Sequence
from pathlib import Path

from registry.artifacts import ProbeRow

TEXTS = (
    "The quick brown fox jumps over the lazy dog, and then it sleeps in the sun.",
    "Question: What is the capital of France?\nAnswer: The capital of France is Paris.",
    '{"name": "Ada", "city": "London", "orders": [3, 14, 159]}',
    "def add(first, second):\n    return first + second\n",
)
"""What is tokenised."""
_LONGEST = 64
_SHORTEST = 2


def probe_rows(folder: Path, *, vocabulary: int | None, max_tokens: int) -> list[ProbeRow]:
    """Return rows without a trainer's log-probabilities: they show the effect alone.

    Args:
        folder: The base model's files.
        vocabulary: Tokens the base model knows.
        max_tokens: Longest row.
    """
    most = min(_LONGEST, max_tokens)
    rows = _tokenised(folder) or _spread(vocabulary or most)
    return [
        ProbeRow(token_ids=list(row[:most]), target_start=1, base_logprobs=[], adapter_logprobs=[])
        for row in rows
        if len(row[:most]) >= _SHORTEST
    ]


def _tokenised(folder: Path) -> list[Sequence[int]]:
    path = folder / "tokenizer.json"
    if not path.exists():
        return []
    # Tokenizers take 15 MB, and only an import needs them.
    from tokenizers import Tokenizer  # noqa: PLC0415 - see above

    tokenizer = Tokenizer.from_file(str(path))
    return [tokenizer.encode(text).ids for text in TEXTS]


def _spread(vocabulary: int) -> list[Sequence[int]]:
    """Return tokens from all over the vocabulary, for a base without a fast tokenizer."""
    step = max(1, vocabulary // (_LONGEST + 1))
    return [range(start, vocabulary, step) for start in range(min(step, 4))]
