"""The weights that train, by technique: made new, gone on from, and found again on disk.

It refuses to know rows and losses, and what is published of them.
"""

from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftModel,
    get_peft_model,
    prepare_model_for_kbit_training,
    set_peft_model_state_dict,
)
from safetensors.torch import load_file
from torch import nn
from transformers import BitsAndBytesConfig

from registry.errors import TrainingFailed
from registry.training_options import LoraStart, Technique, TrainingOptions
from trainer.language_model import engine_dtype, load_base
from trainer.peft_configs import Targets, config_of
from trainer.protocol import Plan
from trainer.targets import all_linear
from trainer.workplace import Workplace

_PACKS = "support_avx512bf16_for_cpu"
"""bitsandbytes' own flag on a layer in 4 bits."""


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
        _keep_unpacked(base)
        return prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    # Full fine-tuning moves weights by less than bfloat16 can tell; PiSSA takes a part out of them.
    is_exact = options.technique is Technique.FULL or options.lora_start is LoraStart.PISSA
    return load_base(plan.base_model, torch.float32 if is_exact else dtype, attention)


def _keep_unpacked(base: Any) -> None:  # noqa: ANN401 - transformers ships no types
    """Leave weights in 4 bits as they were loaded, on every processor.

    On one with AVX-512 for bfloat16, bitsandbytes (0.50.2) packs them for inference as soon as the
    model is measured, for good: from then on no gradient passes through them, and the training
    goes on without a word. Where a width does not fit its blocks it fails instead.
    """
    for module in base.modules():
        if hasattr(module, _PACKS):
            setattr(module, _PACKS, False)


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
        targets = _targets(base, plan.options)
        return get_peft_model(base, config_of(plan.options, plan.hyperparameters, targets))
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


def _targets(base: Any, options: TrainingOptions) -> Targets:  # noqa: ANN401 - transformers ships no types
    wanted = options.target_modules
    names = all_linear(base) if isinstance(wanted, str) else list(wanted)
    layers = [
        module
        for name, module in base.named_modules()
        if isinstance(module, nn.Linear)
        and any(name == end or name.endswith(f".{end}") for end in names)
    ]
    shapes = frozenset((layer.out_features, layer.in_features) for layer in layers)
    return Targets(names=names, shapes=shapes)


def _unfit(reason: str) -> TrainingFailed:
    return TrainingFailed(
        "invalid_hyperparameters",
        f"The layers in 'target_modules' cannot be adapted: {reason}",
        "training.target_modules",
    )
