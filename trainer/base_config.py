"""What a base model's configuration file says, read without any model library.

It refuses to know weights.
"""

from pathlib import Path
from typing import Any

import msgspec
from huggingface_hub import hf_hub_download

from registry.errors import TrainingFailed
from registry.planning.rates import ModelShape
from registry.planning.shape import shape_of


def read_shape(base_model: str) -> ModelShape:
    """Return the shape of the base model at a path or of a Hugging Face name.

    Raises:
        TrainingFailed: With code `base_model_unavailable`: there is no such model, or it has no
            usable configuration.
    """
    config = read_config(base_model)
    text = config.get("text_config", config)
    try:
        return ModelShape(
            hidden_size=int(text["hidden_size"]),
            model_type=config["model_type"],
            parameters=_parameters(config),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise _unreadable(base_model, exc) from exc


def _parameters(config: dict[str, Any]) -> int | None:
    """Return the number of weights, or none for a model of another make."""
    try:
        return shape_of(config).parameters
    except ValueError:
        return None


def read_config(base_model: str) -> dict[str, Any]:
    """Return the configuration of the base model at a path or of a Hugging Face name.

    Raises:
        TrainingFailed: With code `base_model_unavailable`: there is none, or it is no JSON object.
    """
    try:
        content = _config_path(base_model).read_bytes()
        return msgspec.json.decode(content, type=dict[str, Any])
    except (OSError, ValueError) as exc:
        raise _unreadable(base_model, exc) from exc


def _unreadable(base_model: str, exc: Exception) -> TrainingFailed:
    return TrainingFailed(
        "base_model_unavailable",
        f"The base model '{base_model}' cannot be read ({type(exc).__name__}: {exc}). "
        "Check GRAFTLINE_BASE_MODEL.",
    )


def _config_path(base_model: str) -> Path:
    folder = Path(base_model)
    if folder.exists() or folder.is_absolute():
        return folder / "config.json"
    return Path(hf_hub_download(base_model, "config.json"))
