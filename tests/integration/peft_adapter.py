"""Writes a LoRA with peft itself: `python -m tests.integration.peft_adapter <folder>`.

It refuses to train: every weight of lora_B is drawn, so that each answer changes.
"""

import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from registry.settings import embedded_base


def main() -> None:
    """Write the adapter as `save_pretrained` does."""
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(str(embedded_base()), dtype=torch.bfloat16)
    config = LoraConfig(
        r=8, lora_alpha=64, target_modules="all-linear", task_type="CAUSAL_LM", use_rslora=True
    )
    model = get_peft_model(base, config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.05)
    model.save_pretrained(sys.argv[1])


if __name__ == "__main__":
    main()
