"""Rows that share a sequence do not see one another, in every kind of model that packs."""

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from trainer.batches import Example, pad_sequences
from trainer.measuring import packed_tensors
from trainer.packing import PACKABLE

ROWS = [[5, 9, 2, 7, 11, 3], [8, 4, 6], [12, 3, 9, 1, 2]]


def model_of(kind: str, attention: str) -> Any:
    """Return a random model of a kind, of a few thousand parameters."""
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        kind,
        vocab_size=32,
        hidden_size=16,
        intermediate_size=24,
        moe_intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        num_experts=4,
        num_local_experts=4,
        num_experts_per_tok=2,
        max_position_embeddings=64,
        sliding_window=64,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    return AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", sorted(PACKABLE))
@torch.no_grad()
def test_a_packed_row_is_as_if_alone(kind: str, attention: str) -> None:
    """Each row's logits in a sequence with others are those it has by itself."""
    model = model_of(kind, attention)
    examples = [Example(input_ids=row, labels=row) for row in ROWS]
    batch = packed_tensors([examples[:2], examples[2:]], padding=0)
    del batch["labels"]
    packed = model(**batch).logits
    places = [(0, 0), (0, 6), (1, 0)]
    for row, (sequence, start) in zip(ROWS, places, strict=True):
        alone = model(input_ids=torch.tensor([row])).logits[0]
        found = packed[sequence, start : start + len(row)]
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_mask_of_ones_would_mix_rows() -> None:
    """The claim above could fail: with a mask of ones the rows see one another."""
    model = model_of("llama", "sdpa")
    batch = pad_sequences([[Example(input_ids=row, labels=row) for row in ROWS[:2]]], 0)
    mixed = model(
        input_ids=torch.tensor(batch.input_ids),
        position_ids=torch.tensor(batch.position_ids),
        attention_mask=torch.tensor(batch.attention_mask),
    ).logits[0, 6:]
    alone = model(input_ids=torch.tensor([ROWS[1]])).logits[0]
    assert (mixed - alone).abs().max() > 1e-3
