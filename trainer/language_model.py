"""The base model and its adapters in memory and on disk.

It refuses to know rows and how the weights are trained.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import PeftModel
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import cached_file

from registry.artifacts import identity_of_base
from registry.errors import TrainingFailed
from registry.processor import has_fast_bfloat16
from trainer.protocol import Plan

ENGINE_DTYPES = (torch.bfloat16, torch.float16)
"""What the engine computes in; a model stored in float32 is served in bfloat16. A processor without
instructions for bfloat16 computes in float32."""


def load_tokenizer(base_model: str) -> Any:  # noqa: ANN401 - transformers ships no types
    """Return the base model's tokenizer.

    Raises:
        TrainingFailed: With code `base_model_unavailable`.
    """
    try:
        return AutoTokenizer.from_pretrained(base_model)
    except Exception as exc:
        raise _unavailable(base_model, exc) from exc


def load_base(
    base_model: str,
    dtype: torch.dtype,
    attention: str = "sdpa",
    **options: Any,  # noqa: ANN401 - transformers ships no types
) -> Any:  # noqa: ANN401 - transformers ships no types
    """Return the base model, from safetensors only, with one of transformers' attentions.

    Args:
        base_model: Path or Hugging Face name.
        dtype: Precision of the weights.
        attention: What computes the attention.
        **options: transformers' own, such as a quantisation.

    Raises:
        TrainingFailed: With code `base_model_unavailable`.
    """
    try:
        return AutoModelForCausalLM.from_pretrained(
            base_model,
            dtype=dtype,
            use_safetensors=True,
            attn_implementation=attention,
            **options,
        )
    except Exception as exc:
        raise _unavailable(base_model, exc) from exc


def engine_dtype(base_model: str) -> torch.dtype:
    """Return the precision in which the engine serves the base model."""
    if not has_fast_half_precision():
        return torch.float32
    stored = getattr(AutoConfig.from_pretrained(base_model), "dtype", None)
    return stored if stored in ENGINE_DTYPES else torch.bfloat16


def has_fast_half_precision() -> bool:
    """Return whether 16-bit floats are faster than 32-bit ones here."""
    return torch.cuda.is_available() or has_fast_bfloat16()


def save_adapter(model: Any, folder: Path, base_name: str) -> None:  # noqa: ANN401 - peft ships no types
    """Write an adapter, or a model that trained whole, so that equal weights are equal bytes.

    It is there whole or not at all. The adapter's target modules are a set, and a set has no order
    on disk: they are sorted. The path of the base model is the machine's own business: its name
    stands instead.
    """
    with whole_folder(folder) as staged:
        if not isinstance(model, PeftModel):
            model.save_pretrained(str(staged))
            return
        model.save_pretrained(str(staged), save_embedding_layers=False)
        (staged / "README.md").unlink(missing_ok=True)
        settle_config(staged, base_name)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to write to, which takes its place once the block ends without an error."""
    staged = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    yield staged
    shutil.rmtree(folder, ignore_errors=True)
    staged.rename(folder)


def settle_config(folder: Path, base_name: str) -> None:
    """Write an adapter's configuration so that equal adapters have equal ones."""
    path = folder / "adapter_config.json"
    config = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    config["target_modules"] = sorted(config["target_modules"])
    config["base_model_name_or_path"] = base_name
    content = msgspec.json.encode(dict(sorted(config.items())))
    path.write_bytes(msgspec.json.format(content, indent=2))


def load_adapter(base: Any, folder: Path) -> Any:  # noqa: ANN401 - peft ships no types
    """Return the base model with the adapter as it lies on disk."""
    return PeftModel.from_pretrained(base, str(folder))


def identity(plan: Plan) -> str:
    """Return the hash over the base model's configuration and weights."""
    folder = Path(plan.base_model)
    if not folder.exists():
        folder = Path(cached_file(plan.base_model, "config.json")).parent
    return identity_of_base(folder)


def require_same_base(plan: Plan) -> None:
    """Refuse to go on from a version that another base model belongs to.

    Raises:
        TrainingFailed: With code `base_model_changed`.
    """
    if plan.parent_base_sha256 is None or plan.parent_base_sha256 == identity(plan):
        return
    raise TrainingFailed(
        "base_model_changed",
        f"The base model '{plan.base_name}' is not the one that '{plan.parent}' was trained on: "
        "its files differ. Train on the base model itself, or bring the earlier one back.",
        "model",
    )


def _unavailable(base_model: str, exc: Exception) -> TrainingFailed:
    return TrainingFailed(
        "base_model_unavailable",
        f"The base model '{base_model}' cannot be loaded ({type(exc).__name__}: {exc}). "
        "Check GRAFTLINE_BASE_MODEL and its files.",
    )
