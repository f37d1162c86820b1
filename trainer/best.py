"""The trained weights of the best epoch, beside the run, to go back to at its end.

It refuses to know which epoch is best, and in what form a version is published.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from registry.durable import storage_errors


def save(model: Any, folder: Path, step: int) -> None:  # noqa: ANN401 - transformers ships no types
    """Write the trained weights of a step, whole, and forget those of earlier ones."""
    folder.mkdir(exist_ok=True)
    target = _path(folder, step)
    staged = target.with_suffix(".part")
    weights = {name: value.detach().cpu().contiguous() for name, value in _trained(model).items()}
    with storage_errors(target):
        save_file(weights, staged)
        staged.rename(target)
    for other in folder.iterdir():
        if other != target:
            other.unlink()


@torch.no_grad()
def restore(model: Any, folder: Path, step: int) -> None:  # noqa: ANN401 - transformers ships no types
    """Set a model's trained weights to those of a step."""
    kept = load_file(_path(folder, step))
    for name, value in _trained(model).items():
        value.copy_(kept[name])


def _trained(model: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401 - transformers ships no types
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def _path(folder: Path, step: int) -> Path:
    return folder / f"step-{step}.safetensors"
