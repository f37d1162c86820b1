"""Writes a tiny random model of a family: `python -m tests.families.bases <family> <folder>`.

It refuses to know what it is for; the tokenizer is the embedded model's.
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from registry.settings import embedded_base

# Sizes that every attention and every kernel takes: heads of 32, two layers.
_SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
_EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"kind": "LlamaConfig"},
    "mistral": {"kind": "MistralConfig", "head_dim": 32, "sliding_window": None},
    "qwen2.5": {"kind": "Qwen2Config"},
    "qwen3": {"kind": "Qwen3Config", "head_dim": 32},
    "gemma2": {
        "kind": "Gemma2Config",
        "head_dim": 32,
        "query_pre_attn_scalar": 32,
        "sliding_window": 128,
    },
    "gemma3": {
        "kind": "Gemma3TextConfig",
        "head_dim": 32,
        "query_pre_attn_scalar": 32,
        "sliding_window": 128,
    },
    "phi3": {
        "kind": "Phi3Config",
        "original_max_position_embeddings": 256,
        "sliding_window": None,
    },
    "qwen3-moe": {
        "kind": "Qwen3MoeConfig",
        "head_dim": 32,
        "moe_intermediate_size": 64,
        **_EXPERTS,
    },
    "mixtral": {
        "kind": "MixtralConfig",
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": None,
    },
    "olmoe": {"kind": "OlmoeConfig", **_EXPERTS},
}
"""What makes each family's configuration beside the common shape."""


def main() -> None:
    """Write the model that the command line names."""
    family, folder = sys.argv[1:3]
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(embedded_base()))
    tokenizer.save_pretrained(folder)
    own = dict(FAMILIES[family])
    make: Callable[..., Any] = getattr(transformers, own.pop("kind"))
    config = make(
        **_SHAPE,
        **own,
        vocab_size=len(tokenizer),
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)


if __name__ == "__main__":
    main()
