"""Rows whose answers may all have the same length, so that both programs ask for equal work.

It refuses to ask.
"""

import json
import random
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from evals.arms import ANSWER_MARGIN
from registry.settings import embedded_base

PROMPT_WORDS = 40
_ROOT = Path("examples") / "triage" / "train.jsonl"
_SEED = 7


def rows(count: int) -> list[dict[str, str]]:
    """Return prompt–completion rows with prompts of words from the example tickets."""
    draw = random.Random(_SEED)  # noqa: S311 - no secret
    words = _words()
    return [
        {
            "prompt": f"Ticket {number}: {' '.join(draw.choices(words, k=PROMPT_WORDS))}\nAnswer:",
            "completion": " yes" if draw.random() < 0.5 else " no",
        }
        for number in range(count)
    ]


def answer_tokens() -> int:
    """Return how many tokens each answer may have in our exams: what is asked of lm-eval too."""
    tokenizer = AutoTokenizer.from_pretrained(embedded_base())
    lengths = {len(tokenizer(text, add_special_tokens=False).input_ids) for text in (" yes", " no")}
    if len(lengths) != 1:
        raise RuntimeError(f"the answers have {lengths} tokens; choose words of one length")
    return 2 * (lengths.pop() + 1) + ANSWER_MARGIN


def write(path: Path, found: list[dict[str, str]]) -> Path:
    """Write rows as JSONL."""
    path.write_text("".join(f"{json.dumps(row)}\n" for row in found))
    return path


def _words() -> list[str]:
    with _ROOT.open() as lines:
        texts = [_text(json.loads(line)) for line in lines]
    return sorted({word for text in texts for word in text.split() if word.isalpha()})


def _text(row: dict[str, Any]) -> str:
    return " ".join(str(message["content"]) for message in row["messages"])
