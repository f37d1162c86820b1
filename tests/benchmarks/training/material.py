"""What both trainers learn from: a random Llama of 15 million weights, and rows of mixed length.

It refuses to know who trains.
"""

import random
from pathlib import Path

import msgspec
import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from registry.settings import embedded_base

WORDS = ("ticket", "order", "late", "refund", "please", "account", "broken", "screen", "invoice")
EPOCHS, BATCH, LEARNING_RATE, RANK, MAX_LENGTH = 1, 8, 2e-4, 16, 512


def write_base(folder: Path) -> int:
    """Write the model, and return how many weights it has."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(embedded_base()))
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=8,
        num_attention_heads=6,
        num_key_value_heads=6,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    return int(model.num_parameters())


def rows(count: int) -> list[dict[str, str]]:
    """Return prompts of 4 to about 120 words, most of them short, each with a short answer."""
    chance = random.Random(7)  # noqa: S311 - material, no secret
    found = []
    for number in range(count):
        words = min(120, 4 + int(chance.expovariate(1 / 25)))
        prompt = " ".join(chance.choice(WORDS) for _ in range(words))
        answer = " ".join(chance.choice(WORDS) for _ in range(chance.randint(2, 10)))
        found.append({"prompt": f"{number}: {prompt} =>", "completion": f" {answer}"})
    return found


def write_rows(path: Path, count: int) -> None:
    """Write rows as JSON lines."""
    path.write_bytes(msgspec.json.Encoder().encode_lines(rows(count)))
