"""Which layers are trained: those that the engine changes, and no others."""

from pathlib import Path

import numpy as np
import pytest
import torch

from registry.errors import TrainingFailed
from tests.adapter_folders import tensors, write
from trainer.targets import all_linear, require_served


class Mixture(torch.nn.Module):
    """The names of a layer of a mixture, as older models have them."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        for name in names:
            self.add_module(name, torch.nn.Linear(2, 2))
        self.experts = torch.nn.ModuleList([torch.nn.ModuleDict({"up_proj": self.make()})])

    @staticmethod
    def make() -> torch.nn.Linear:
        """Return a layer."""
        return torch.nn.Linear(2, 2)


def test_routers_heads_and_experts_stay_as_they_are() -> None:
    """The engine would take an adapter for them and not apply it."""
    model = torch.nn.ModuleDict({"mlp": Mixture("q_proj", "gate"), "lm_head": Mixture.make()})
    assert all_linear(model) == ["mlp.q_proj"]


def test_a_model_without_a_layer_for_the_engine_is_refused() -> None:
    """With what it takes."""
    with pytest.raises(TrainingFailed, match="q_proj"):
        all_linear(torch.nn.ModuleDict({"mlp": Mixture("gate")}))


def test_an_adapter_that_would_be_applied_in_part_is_refused(tmp_path: Path) -> None:
    """By the names of its weights, whatever its configuration says."""
    require_served(write(tmp_path / "whole"))
    weights = tensors()
    stem = "base_model.model.model.layers.0.mlp.experts.base_layer"
    weights[f"{stem}.lora_A.weight"] = np.ones((8, 192), np.float32)
    weights[f"{stem}.lora_B.weight"] = np.ones((512, 8), np.float32)
    with pytest.raises(TrainingFailed, match=r"experts\.base_layer") as caught:
        require_served(write(tmp_path / "part", weights))
    assert caught.value.code == "unsupported_target_modules"
