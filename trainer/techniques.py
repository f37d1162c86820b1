"""The weights that train, by technique: made new, gone on from, and found again on disk.

It refuses to know rows and losses, and what is published of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from peft import (
    DeloraConfig,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    MissConfig,
    PeftConfig,
    PeftModel,
    VeraConfig,
    get_peft_model,
    prepare_model_for_kbit_training,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file
from torch import nn
from transformers import BitsAndBytesConfig

from registry.errors import TrainingFailed
from registry.training_options import LORA_FAMILY, LoraStart, Technique, TrainingOptions
from trainer.language_model import engine_dtype, load_base
from trainer.plan import Hyperparameters
from trainer.protocol import Plan
from trainer.targets import all_linear
from trainer.workplace import Workplace

VERA_RANK_FACTOR = 16
"""Rank of VeRA's random matrices, as a multiple of `lora_rank`: only scales on them are trained."""


def load_trainable(plan: Plan, place: Workplace, attention: str = "sdpa") -> Any:  # noqa: ANN401 - peft ships no types
    """Return the model of a plan as it is before its first step; the same each time.

    Raises:
        TrainingFailed: The base model cannot be loaded, or has no layers of the wanted names.
    """
    base = _base(plan, attention)
    if place.parent.exists():
        return _go_on(base, place.parent, plan)
    if plan.options.technique is Technique.FULL:
        return base if plan.options.train_embeddings else _linear_only(base)
    return _with_adapter(base, plan)


def load_trained(plan: Plan, place: Workplace, folder: Path) -> Any:  # noqa: ANN401 - peft ships no types
    """Return the model with the weights that a training left in a folder.

    Raises:
        TrainingFailed: The base model cannot be loaded.
    """
    if plan.options.technique is Technique.FULL:
        return load_base(str(folder), torch.float32)
    model = load_trainable(plan, place)
    set_peft_model_state_dict(model, load_file(folder / "adapter_model.safetensors"))
    return model


def _base(plan: Plan, attention: str) -> Any:  # noqa: ANN401 - transformers ships no types
    options = plan.options
    dtype = engine_dtype(plan.base_model)
    if options.technique is Technique.QLORA:
        base = load_base(
            plan.base_model,
            dtype,
            attention,
            quantization_config=BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type="nf4",
                bnb_4bit_use_double_quant=True,
                bnb_4bit_compute_dtype=dtype,
            ),
            device_map={"": torch.cuda.current_device() if torch.cuda.is_available() else "cpu"},
        )
        return prepare_model_for_kbit_training(_unpacked(base), use_gradient_checkpointing=False)
    # Full fine-tuning moves weights by less than bfloat16 can tell; PiSSA takes a part out of them.
    is_exact = options.technique is Technique.FULL or options.lora_start is LoraStart.PISSA
    return load_base(plan.base_model, torch.float32 if is_exact else dtype, attention)


def _unpacked(base: Any) -> Any:  # noqa: ANN401 - transformers ships no types
    """Keep a quantised model's weights in one layout.

    On some processors bitsandbytes packs them anew when they are first measured with, and fails
    where a width is no multiple of 64. A run that resumes would compute in the other layout until
    then.
    """
    for module in base.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return base


def _linear_only(base: Any) -> Any:  # noqa: ANN401 - transformers ships no types
    """Freeze what a low-rank extraction of linear layers cannot carry."""
    base.requires_grad_(requires_grad=False)
    head = base.get_output_embeddings()
    for module in base.modules():
        if isinstance(module, nn.Linear) and module is not head:
            module.weight.requires_grad_()
    return base


def _go_on(base: Any, folder: Path, plan: Plan) -> Any:  # noqa: ANN401 - peft ships no types
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = False
    config.lora_dropout = plan.options.lora_dropout
    config.base_model_name_or_path = plan.base_model  # else PEFT asks a hub for our name of it
    return PeftModel.from_pretrained(base, str(folder), config=config, is_trainable=True)


def _with_adapter(base: Any, plan: Plan) -> Any:  # noqa: ANN401 - peft ships no types
    _require_linear(base, plan.options)
    try:
        return get_peft_model(base, _config(base, plan.options, plan.hyperparameters))
    except ValueError as exc:
        raise _unfit(str(exc)) from exc


def _require_linear(base: Any, options: TrainingOptions) -> None:  # noqa: ANN401 - transformers ships no types
    """Refuse listed layers that the engine adapts in no base model: embeddings and the head."""
    if isinstance(options.target_modules, str):
        return
    head = base.get_output_embeddings()
    for name, module in base.named_modules():
        is_meant = any(name == end or name.endswith(f".{end}") for end in options.target_modules)
        if is_meant and (not isinstance(module, nn.Linear) or module is head):
            raise _unfit(f"'{name}' is no linear layer that the engine can adapt.")


def _config(base: Any, options: TrainingOptions, chosen: Hyperparameters) -> PeftConfig:  # noqa: ANN401 - transformers ships no types
    targets = options.target_modules
    every: dict[str, Any] = {
        "target_modules": all_linear(base) if isinstance(targets, str) else list(targets),
        "task_type": "CAUSAL_LM",
    }
    if options.technique in LORA_FAMILY:
        is_pissa = options.lora_start is LoraStart.PISSA
        return LoraConfig(
            r=chosen.lora_rank,
            lora_alpha=chosen.lora_alpha,
            lora_dropout=chosen.lora_dropout,
            use_rslora=options.rank_stabilized,
            use_dora=options.technique is Technique.DORA,
            init_lora_weights="pissa" if is_pissa else True,
            rank_pattern=dict(options.rank_pattern),
            alpha_pattern=dict(options.alpha_pattern),
            bias="none",
            **every,
        )
    return _OTHERS[options.technique](chosen.lora_rank, chosen.lora_alpha, every)


_OTHERS: dict[Technique, Callable[[int, int, dict[str, Any]], PeftConfig]] = {
    Technique.LOHA: lambda rank, alpha, every: LoHaConfig(r=rank, alpha=alpha, **every),
    Technique.LOKR: lambda rank, alpha, every: LoKrConfig(r=rank, alpha=alpha, **every),
    Technique.MISS: lambda rank, _alpha, every: MissConfig(r=rank, **every),
    Technique.DELORA: lambda rank, alpha, every: DeloraConfig(r=rank, delora_lambda=alpha, **every),
    Technique.VERA: lambda rank, _alpha, every: VeraConfig(r=VERA_RANK_FACTOR * rank, **every),
}
"""Configurations from rank, alpha and what every method has. MiSS and VeRA know no alpha."""


def _unfit(reason: str) -> TrainingFailed:
    return TrainingFailed(
        "invalid_hyperparameters",
        f"The layers in 'target_modules' cannot be adapted: {reason}",
        "training.target_modules",
    )
