"""What a base model's configuration file says, read without any model library.

It refuses to know weights.
"""

from pathlib import Path
from typing import Any

import msgspec
from huggingface_hub import hf_hub_download

from registry.errors import TrainingFailed
from trainer.plan import ModelShape


def read_shape(base_model: str) -> ModelShape:
    """Return the shape of the base model at a path or of a Hugging Face name.

    Raises:
        TrainingFailed: With code `base_model_unavailable`: there is no such model, or it has no
            usable configuration.
    """
    try:
        content = _config_path(base_model).read_bytes()
        config = msgspec.json.decode(content, type=dict[str, Any])
        text = config.get("text_config", config)
        return ModelShape(hidden_size=int(text["hidden_size"]), model_type=config["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise TrainingFailed(
            "base_model_unavailable",
            f"The base model '{base_model}' cannot be read ({type(exc).__name__}: {exc}). "
            "Check GRAFTLINE_BASE_MODEL.",
        ) from exc


def _config_path(base_model: str) -> Path:
    folder = Path(base_model)
    if folder.exists() or folder.is_absolute():
        return folder / "config.json"
    return Path(hf_hub_download(base_model, "config.json"))
