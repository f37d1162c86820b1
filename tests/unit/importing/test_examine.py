"""An adapter's folder is examined: what passes, and what is refused with which remedy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.errors import InvalidAdapter
from registry.settings import Settings
from service.importing.publication import examine
from tests.adapter_folders import AXOLOTL, LLAMA_FACTORY, PLAIN, TRL, UNSLOTH, tensors, write

Q0 = "base_model.model.model.layers.0.self_attn.q_proj"


def refused(
    folder: Path,
    weights: dict[str, Any] | None = None,
    settings: Settings | None = None,
    **config: Any,
) -> str:
    """Return why an adapter is refused."""
    write(folder, weights, {**PLAIN, **config})
    with pytest.raises(InvalidAdapter) as caught:
        examine(folder, settings or Settings())
    return str(caught.value)


@pytest.mark.parametrize("config", [PLAIN, AXOLOTL, LLAMA_FACTORY, UNSLOTH, TRL])
def test_the_folders_of_other_tools_pass(tmp_path: Path, config: dict[str, Any]) -> None:
    """Axolotl, LLaMA-Factory, Unsloth and TRL each write the base and the targets their own way."""
    examined = examine(write(tmp_path, config=config), Settings())
    assert len(examined.pairs) == 12


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"lora_bias": True}, "lora_bias=False"),
        ({"bias": "all"}, 'bias="none"'),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"layer_replication": [[0, 2]]}, "layer_replication"),
        ({"init_lora_weights": "pissa_niter_4"}, "path_initial_model_for_weight_conversion"),
        ({"init_lora_weights": "olora"}, "initialisation"),
        ({"peft_type": "LOHA"}, "'LOHA', not 'LORA'"),
        ({"task_type": "SEQ_CLS"}, "CAUSAL_LM"),
        ({"lora_alpha": 0}, "change nothing"),
        ({"r": 0}, "above 0"),
        ({"r": 16}, "adapter_config.json says 16"),
        ({"rank_pattern": {"(a+)+": 4}}, "plain layer name"),
        ({"rank_pattern": {"layers.0.self_attn.q_proj": 4}}, "adapter_config.json says 4"),
        ({"target_modules": None}, "target_modules"),
    ],
)
def test_a_configuration_at_fault_is_refused_with_the_field(
    tmp_path: Path, config: dict[str, Any], word: str
) -> None:
    """The message says what to change."""
    assert word in refused(tmp_path, **config)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    """The user trains again once, not once for each fault."""
    message = refused(tmp_path, use_dora=True, bias="all")
    assert "2 faults" in message


def test_a_rank_above_the_limit_names_the_setting(tmp_path: Path) -> None:
    """The engine's limit is the operator's to raise."""
    message = refused(tmp_path, tensors(rank=64), r=64)
    assert "GRAFTLINE_MAX_LORA_RANK" in message
    assert "64" in message


@pytest.mark.parametrize("leaf", ["lm_head", "embed_tokens"])
def test_a_layer_the_engine_does_not_adapt_is_refused(tmp_path: Path, leaf: str) -> None:
    """The engine would answer, and apply nothing of it."""
    weights = tensors()
    weights[f"base_model.model.{leaf}.lora_A.weight"] = np.ones((8, 192), np.float32)
    weights[f"base_model.model.{leaf}.lora_B.weight"] = np.ones((2048, 8), np.float32)
    assert f"'{leaf}' is adapted" in refused(tmp_path, weights)


def test_experts_of_a_mixture_are_refused(tmp_path: Path) -> None:
    """The engine would apply the rest of it, and nobody would notice."""
    weights = tensors()
    stem = "base_model.model.model.layers.0.mlp.experts.1.gate_proj"
    weights[f"{stem}.lora_A.weight"] = np.ones((8, 192), np.float32)
    weights[f"{stem}.lora_B.weight"] = np.ones((512, 8), np.float32)
    assert "experts of a mixture (1)" in refused(tmp_path, weights)


def test_another_hidden_size_is_another_base(tmp_path: Path) -> None:
    """Shapes decide, not the name in the configuration."""
    weights = tensors()
    weights[f"{Q0}.lora_A.weight"] = np.ones((8, 4096), np.float32)
    message = refused(tmp_path, weights)
    assert "4096 inputs" in message
    assert "another base model" in message


def test_more_layers_are_another_base(tmp_path: Path) -> None:
    """A layer that the base does not have proves it."""
    weights = {name.replace("layers.0.", "layers.31."): each for name, each in tensors().items()}
    assert "layer 31; 'tiny-base' has 6 layers" in refused(tmp_path, weights)


@pytest.mark.parametrize("kind", [np.float32, np.float16])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_refused(tmp_path: Path, kind: type, odd: float) -> None:
    """One NaN in one layer spoils every answer."""
    weights = {name: each.astype(kind) for name, each in tensors().items()}
    weights[f"{Q0}.lora_B.weight"][3, 3] = odd
    assert "NaN or infinite" in refused(tmp_path, weights)


def test_zero_effect_is_refused(tmp_path: Path) -> None:
    """A freshly initialised adapter has lora_B zero throughout."""
    weights = {name: each * (0 if "lora_B" in name else 1) for name, each in tensors().items()}
    assert "changes nothing" in refused(tmp_path, weights)


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    """The missing side is named."""
    weights = tensors()
    del weights[f"{Q0}.lora_B.weight"]
    assert "Its lora_B is missing" in refused(tmp_path, weights)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        (f"{Q0}.lora_magnitude_vector", "DoRA"),
        (f"{Q0}.lora_A.default.weight", "save_pretrained"),
        ("base_model.model.model.embed_tokens.weight", "save_embedding_layers=False"),
        ("model.layers.0.self_attn.q_proj.weight", "save_pretrained"),
        ("../../etc/passwd", "no layer's name"),
        ("base_model.model...lora_A.weight", "no layer's name"),
    ],
)
def test_a_foreign_name_is_refused(tmp_path: Path, name: str, word: str) -> None:
    """A name says where a tensor comes from; path tricks are names of nothing."""
    assert word in refused(tmp_path, {**tensors(), name: np.ones((8, 192), np.float32)})


def test_a_type_of_number_that_is_not_for_weights_is_refused(tmp_path: Path) -> None:
    """Doubles and integers are not what PEFT trains."""
    weights = {name: each.astype(np.float64) for name, each in tensors().items()}
    assert "F64" in refused(tmp_path, weights)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    """A copy that was cut off says so."""
    path = write(tmp_path) / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InvalidAdapter, match="cut off"):
        examine(tmp_path, Settings())
