"""What was trained, as the engine takes it: plain LoRA, and what that costs.

It refuses to know the store and where it is published.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import LoraConfig
from safetensors.torch import save_file

from registry.errors import TrainingFailed
from registry.records import Record
from registry.training_options import Technique
from trainer.batches import Example
from trainer.language_model import (
    engine_dtype,
    load_tokenizer,
    settle_config,
    whole_folder,
)
from trainer.low_rank import LowRank, low_rank
from trainer.measuring import measure
from trainer.plan import published_rank
from trainer.protocol import Notice, Plan
from trainer.techniques import load_trained
from trainer.workplace import Workplace

MEASURED_ROWS = 200
"""Most rows on which the cost of a conversion is measured."""


class Plain(Record, frozen=True, kw_only=True):
    """An adapter that the engine takes."""

    folder: Path
    """Where it lies."""
    rank: int
    """Its largest rank."""
    trained_loss: float | None = None
    """Loss as trained, in nats a token; none when nothing was converted."""


class Conversion:
    """Converts the adapters of one job, and says what it cost."""

    def __init__(
        self, plan: Plan, place: Workplace, examples: Sequence[Example], padding: int
    ) -> None:
        self._plan = plan
        self._place = place
        self._examples = list(examples[:MEASURED_ROWS])
        self._padding = padding

    def plain(self, folder: Path, base: Any) -> Plain:  # noqa: ANN401 - transformers ships no types
        """Return what a training left in a folder as plain LoRA.

        A quantised base model is a conversion too: the engine serves the model itself.

        Args:
            folder: What was trained.
            base: The base model as served.
        """
        options = self._plan.options
        if options.is_plain and options.technique is not Technique.QLORA:
            return Plain(folder=folder, rank=rank_of(folder))
        trained = load_trained(self._plan, self._place, folder)
        loss = measure(trained, self._examples, self._padding).loss
        if options.is_plain:
            return Plain(folder=folder, rank=rank_of(folder), trained_loss=loss)
        wanted = published_rank(
            self._plan.hyperparameters, options.technique, self._plan.max_lora_rank
        )
        update = low_rank(trained, base, rank=wanted)
        target = self._place.plain / folder.name
        _write(update, _targets(update, base), target, self._plan.base_name)
        return Plain(folder=target, rank=update.rank, trained_loss=loss)

    def cost(self, plain: Plain, adapted: Any) -> dict[str, float]:  # noqa: ANN401 - peft ships no types
        """Return the losses before and after a conversion, and the rise; nothing without one.

        Args:
            plain: The converted adapter.
            adapted: The base model as served, with it.
        """
        if plain.trained_loss is None:
            return {}
        loss = measure(adapted, self._examples, self._padding).loss
        return {
            "trained_loss": plain.trained_loss,
            "published_loss": loss,
            "conversion_loss": loss - plain.trained_loss,
        }

    def judge(self, cost: dict[str, float], *, step: int, is_final: bool) -> Notice | None:
        """Return what to tell the user about a conversion; a warning when it cost too much.

        Raises:
            TrainingFailed: With code `conversion_loss`: the final adapter's costs too much.
        """
        if not cost:
            return None
        rise, most = cost["conversion_loss"], self._plan.options.max_conversion_loss
        figures = (
            f"{cost['trained_loss']:.4f} nats a token as trained, {cost['published_loss']:.4f} as "
            f"published ({rise:+.4f}) on {len(self._examples)} rows"
        )
        if not rise > most:
            return Notice(level="info", message=f"Loss of step {step}: {figures}.")
        reason = f"The conversion of step {step} to plain LoRA costs too much: {figures}; the "
        reason += f"bound is {most:g} (training.max_conversion_loss)."
        if not is_final:
            return Notice(level="warn", message=f"{reason} This checkpoint is not published.")
        raise TrainingFailed(
            "conversion_loss",
            f"{reason} Nothing is published. Raise GRAFTLINE_MAX_LORA_RANK, or 'lora_rank' of a "
            "full fine-tuning, lower the learning rate, or use the technique 'lora'.",
        )

    def keep_full(self, folder: Path) -> Path | None:
        """Write the full checkpoint for a replica of its own; none unless every weight trained."""
        if self._plan.options.technique is not Technique.FULL:
            return None
        model = load_trained(self._plan, self._place, folder)
        with whole_folder(self._place.full) as staged:
            model.to(engine_dtype(self._plan.base_model)).save_pretrained(str(staged))
            load_tokenizer(self._plan.base_model).save_pretrained(str(staged))
        return self._place.full


def rank_of(folder: Path) -> int:
    """Return the largest rank of an adapter on disk."""
    config = msgspec.json.decode((folder / "adapter_config.json").read_bytes(), type=dict[str, Any])
    rank: int = max([config["r"], *(config.get("rank_pattern") or {}).values()])
    return rank


def _targets(update: LowRank, base: Any) -> list[str]:  # noqa: ANN401 - transformers ships no types
    """Return the shortest names that mean the adapted layers and no other."""
    ends = {name.rpartition(".")[2] for name in update.modules}
    meant = {
        name
        for name, module in base.named_modules()
        if name.rpartition(".")[2] in ends and hasattr(module, "weight")
    }
    return sorted(ends) if meant == set(update.modules) else update.modules


def _write(update: LowRank, targets: list[str], folder: Path, base_name: str) -> None:
    with whole_folder(folder) as staged:
        tensors: dict[str, torch.Tensor] = dict(sorted(update.tensors.items()))
        save_file(tensors, staged / "adapter_model.safetensors", metadata={"format": "pt"})
        config = LoraConfig(
            r=update.rank,
            lora_alpha=update.rank,
            target_modules=targets,
            bias="none",
            task_type="CAUSAL_LM",
            inference_mode=True,
        )
        config.save_pretrained(str(staged))
        settle_config(staged, base_name)
