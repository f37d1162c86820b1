"""Adapters' folders as other tools write them, for the tiny base model, made of numpy alone.

It refuses to know what a test does with them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from registry.settings import embedded_base
from service.importing.foundation import read_foundation

PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "tiny-base",
    "r": 8,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "target_modules": ["q_proj", "v_proj"],
    "bias": "none",
}
"""A sound configuration."""
AXOLOTL = {**PLAIN, "target_modules": "all-linear", "base_model_name_or_path": "/workspace/base"}
LLAMA_FACTORY = {**PLAIN, "modules_to_save": None, "use_rslora": True, "rank_pattern": {}}
UNSLOTH = {
    **PLAIN,
    "base_model_name_or_path": "unsloth/tiny-base-bnb-4bit",
    "target_modules": "(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|v_proj).*?)",
    "auto_mapping": {"base_model_class": "LlamaForCausalLM", "unsloth_fixed": True},
}
TRL = {**PLAIN, "peft_version": "0.21.2", "corda_config": None, "eva_config": None}
EXTRAS = ("README.md", "optimizer.pt", "tokenizer.json", "training_args.bin")


def tensors(*, rank: int = 8, modules: tuple[str, ...] = ("q_proj", "v_proj")) -> dict[str, Any]:
    """Return random weights for every layer of the tiny base model."""
    foundation, draw = read_foundation(embedded_base(), "tiny-base"), np.random.default_rng(0)
    found: dict[str, Any] = {}
    for place, shape in foundation.shapes.items():
        if place.rpartition(".")[2] in modules:
            stem = f"base_model.model.model.{place}"
            a, b = (rank, shape.inputs), (shape.outputs, rank)
            found[f"{stem}.lora_A.weight"] = draw.normal(0, 0.1, a).astype(np.float32)
            found[f"{stem}.lora_B.weight"] = draw.normal(0, 0.1, b).astype(np.float32)
    return found


def write(
    folder: Path, weights: dict[str, Any] | None = None, config: dict[str, Any] | None = None
) -> Path:
    """Write an adapter's folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors() if weights is None else weights, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(PLAIN if config is None else config))
    return folder
