"""`adapter_config.json`: what PEFT says an adapter is, and what of it the engine can apply.

It refuses to know the weights and the base model.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from registry.errors import AdapterFault, InvalidAdapter
from registry.records import Record

CONFIG = "adapter_config.json"
"""The file's name in an adapter's folder."""
MAX_CONFIG_BYTES = 4 * 1024 * 1024
"""Largest configuration that is read, in bytes."""
MAX_PATTERNS = 2048
"""Most entries of `rank_pattern` and of `alpha_pattern`."""
_MAX_RANK = 4096
# The engine runs each key as a regular expression: only those that cannot run for long pass.
_PATTERN = re.compile(r"[A-Za-z0-9_\-.\\^]*(?:\*[A-Za-z0-9_\-.\\^]*){0,2}")
_PLAIN_INITS = frozenset({"gaussian", "eva", "orthogonal", "mica", "lora_ga"})
_PLAIN = "Convert it to plain LoRA with peft's 'save_as_lora', or train again"


class Lora(Record, frozen=True, kw_only=True):
    """What the engine reads of a configuration."""

    rank: int
    """Rank of every layer that no pattern names."""
    alpha: float
    """Numerator of the scaling of every layer that no pattern names."""
    is_rank_stabilised: bool
    """Whether the scaling is alpha / √rank instead of alpha / rank."""
    rank_pattern: dict[str, int]
    """Other ranks, by the end of a layer's name as a regular expression."""
    alpha_pattern: dict[str, float]
    """Other alphas, likewise."""
    base_hint: str | None
    """What the training machine called the base model: a hint, not a proof."""
    peft_version: str | None
    """Version of PEFT that wrote it."""

    def rank_of(self, module: str) -> int:
        """Return the rank that PEFT gives a layer."""
        return next(
            (rank for key, rank in self.rank_pattern.items() if matches(key, module)), self.rank
        )


class _Feature(Record, frozen=True, kw_only=True):
    name: str
    is_used: Callable[[Any], bool]
    message: str
    remedy: str


_FEATURES = (
    _Feature(
        name="use_dora",
        is_used=bool,
        message="The engine does not apply DoRA.",
        remedy=f"{_PLAIN} with use_dora=False.",
    ),
    _Feature(
        name="lora_bias",
        is_used=bool,
        message="The engine does not apply a LoRA bias.",
        remedy="Train again with lora_bias=False.",
    ),
    _Feature(
        name="bias",
        is_used=lambda value: value not in (None, "none"),
        message="The engine does not apply trained biases.",
        remedy='Train again with bias="none".',
    ),
    _Feature(
        name="modules_to_save",
        is_used=bool,
        message="The engine does not replace whole layers (modules_to_save).",
        remedy="Train again without modules_to_save, or merge the adapter into a base of its own.",
    ),
    _Feature(
        name="trainable_token_indices",
        is_used=bool,
        message="The engine does not apply trained tokens.",
        remedy="Train again without trainable_token_indices.",
    ),
    _Feature(
        name="layer_replication",
        is_used=bool,
        message="The engine does not replicate layers.",
        remedy="Train again without layer_replication.",
    ),
    _Feature(
        name="target_parameters",
        is_used=bool,
        message="The engine is started for linear layers, not for single parameters.",
        remedy="Train again with target_modules only.",
    ),
    _Feature(
        name="alora_invocation_tokens",
        is_used=bool,
        message="The engine does not apply activated LoRA.",
        remedy="Train again without alora_invocation_tokens.",
    ),
    _Feature(
        name="init_lora_weights",
        is_used=lambda value: isinstance(value, str) and value.lower() not in _PLAIN_INITS,
        message="This initialisation changes the base model's weights while training.",
        remedy="Save it as plain LoRA: save_pretrained with path_initial_model_for_weight_"
        "conversion.",
    ),
    *(
        _Feature(
            name=name,
            is_used=bool,
            message="The engine does not apply this kind of LoRA.",
            remedy=f"{_PLAIN} without it.",
        )
        for name in ("use_qalora", "use_bdlora", "arrow_config", "kasa_config", "megatron_config")
    ),
)


def parse(content: bytes) -> dict[str, Any]:
    """Return a configuration's fields.

    Raises:
        InvalidAdapter: It is not a JSON object of tolerable size.
    """
    if len(content) > MAX_CONFIG_BYTES:
        message = f"It has more than {MAX_CONFIG_BYTES} bytes."
        raise InvalidAdapter((AdapterFault(CONFIG, message, "Send the one that PEFT wrote."),))
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as exc:
        fault = AdapterFault(CONFIG, "It is not JSON.", "Send the one that PEFT wrote.")
        raise InvalidAdapter((fault,)) from exc
    if not isinstance(fields, dict):
        fault = AdapterFault(CONFIG, "It is not an object.", "Send the one that PEFT wrote.")
        raise InvalidAdapter((fault,))
    return fields


def faults_of(fields: Mapping[str, Any]) -> list[AdapterFault]:
    """Return everything in a configuration that the engine cannot apply."""
    return [*_kind_faults(fields), *_feature_faults(fields), *_number_faults(fields)]


def lora_of(fields: Mapping[str, Any]) -> Lora:
    """Return what the engine reads of a configuration without faults."""
    return Lora(
        rank=fields["r"],
        alpha=fields["lora_alpha"],
        is_rank_stabilised=bool(fields.get("use_rslora")),
        rank_pattern=fields.get("rank_pattern") or {},
        alpha_pattern=fields.get("alpha_pattern") or {},
        base_hint=_text(fields.get("base_model_name_or_path")),
        peft_version=_text(fields.get("peft_version")),
    )


def normalised(lora: Lora, target_modules: Iterable[str], base_name: str) -> bytes:
    """Return the configuration that is published: equal adapters give equal bytes."""
    fields = {
        "alpha_pattern": lora.alpha_pattern,
        "base_model_name_or_path": base_name,
        "bias": "none",
        "inference_mode": True,
        "lora_alpha": lora.alpha,
        "peft_type": "LORA",
        "r": lora.rank,
        "rank_pattern": lora.rank_pattern,
        "target_modules": sorted(target_modules),
        "task_type": "CAUSAL_LM",
        "use_rslora": lora.is_rank_stabilised,
    }
    return msgspec.json.format(msgspec.json.encode(fields), indent=2)


def matches(key: str, module: str) -> bool:
    """Return whether a pattern's key names a layer, by PEFT's rule."""
    return re.match(rf"(.*\.)?({key})$", module) is not None


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) else None


def _fault(field: str, message: str, remedy: str) -> AdapterFault:
    return AdapterFault(f"{CONFIG}: {field}", message, remedy)


def _kind_faults(fields: Mapping[str, Any]) -> list[AdapterFault]:
    found = []
    kind, task = fields.get("peft_type"), fields.get("task_type")
    if kind != "LORA":
        message = f"The adapter is {_shown(kind)}, not 'LORA'."
        found.append(_fault("peft_type", message, f"{_PLAIN} as LORA."))
    if task not in (None, "CAUSAL_LM"):
        message = f"The adapter is for {_shown(task)}, not for writing text."
        found.append(_fault("task_type", message, 'Train one with task_type="CAUSAL_LM".'))
    if not isinstance(fields.get("target_modules"), list | str):
        message = "It is missing, or neither a list nor a string."
        found.append(_fault("target_modules", message, "Send the file that PEFT wrote."))
    return found


def _feature_faults(fields: Mapping[str, Any]) -> list[AdapterFault]:
    return [
        _fault(feature.name, feature.message, feature.remedy)
        for feature in _FEATURES
        if feature.is_used(fields.get(feature.name))
    ]


def _number_faults(fields: Mapping[str, Any]) -> list[AdapterFault]:
    found = []
    if not _is_rank(fields.get("r")):
        found.append(_fault("r", "It is not a whole number above 0.", "Name the rank."))
    if not _is_alpha(fields.get("lora_alpha")):
        message = "It is not a number other than 0, so the adapter would change nothing."
        found.append(_fault("lora_alpha", message, "Name the alpha it was trained with."))
    for name, is_sound in (("rank_pattern", _is_rank), ("alpha_pattern", _is_alpha)):
        patterns = fields.get(name) or {}
        if not isinstance(patterns, dict) or len(patterns) > MAX_PATTERNS:
            message = f"It is not an object of at most {MAX_PATTERNS} entries."
            found.append(_fault(name, message, "Train with one rank for many layers."))
            continue
        found += [
            _fault(name, f"The value of {_shown(key)} is no such number.", "Mend it.")
            for key, value in patterns.items()
            if not is_sound(value)
        ]
        found += [
            _fault(name, f"{_shown(key)} is not a plain layer name.", "Write the layer's own name.")
            for key in patterns
            if not _is_pattern(key)
        ]
    return found


def _is_rank(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_RANK


def _is_alpha(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value)) and value != 0
    except OverflowError:
        return False


def _is_pattern(key: str) -> bool:
    if len(key) > 200 or not _PATTERN.fullmatch(key):
        return False
    try:
        re.compile(key)
    except re.error:
        return False
    return True


def _shown(value: object) -> str:
    return "nothing" if value is None else ascii(str(value)[:60])
