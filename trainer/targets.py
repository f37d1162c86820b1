"""Which layers an adapter is trained on: all that the engine would change, and no others.

It refuses to know methods and ranks. PEFT's own `all-linear` also adapts the experts and routers of
mixtures, which vLLM loads and silently leaves as they are.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from registry.engine_layers import ENGINE_LAYERS, ignored
from registry.errors import TrainingFailed

_PREFIX = "base_model.model."


def all_linear(base: Any) -> list[str]:  # noqa: ANN401 - transformers ships no types
    """Return the names of the layers that `all-linear` means here, sorted.

    Raises:
        TrainingFailed: The engine would change none of the model's layers.
    """
    found = {name for name, module in base.named_modules() if isinstance(module, torch.nn.Linear)}
    lost = ignored(found)
    if len(lost) == len(found):
        raise _unsupported(lost or ["none"])
    return sorted(found - set(lost))


def require_served(folder: Path) -> None:
    """Refuse an adapter on disk of which the engine would silently apply only a part.

    Raises:
        TrainingFailed: It changes other layers too.
    """
    with safe_open(str(folder / "adapter_model.safetensors"), "pt") as weights:
        names = [str(name).removeprefix(_PREFIX) for name in weights.keys()]  # noqa: SIM118 - it is no mapping
    lost = ignored({name.partition(".lora_")[0] for name in names if ".lora_" in name})
    if lost:
        raise _unsupported(lost)


def _unsupported(lost: list[str]) -> TrainingFailed:
    return TrainingFailed(
        "unsupported_target_modules",
        f"The engine does not apply an adapter to {len(lost)} of the layers it would be trained "
        f"on, the first of them '{lost[0]}'. Name others in 'target_modules': it takes "
        f"{', '.join(ENGINE_LAYERS)}, and no experts of a mixture.",
        "training.target_modules",
    )
