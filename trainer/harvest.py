"""What a finished training leaves: its history, and adapters with what was measured on them.

It refuses to know how it was trained, and where it is published.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.batches import Example
from trainer.language_model import engine_dtype, load_adapter, load_base
from trainer.measuring import choose_probe_examples, probe
from trainer.protocol import HistoryRow, TrainedVersion
from trainer.targets import require_served
from trainer.workplace import Workplace

_EVENT_NAMES = {"train_accuracy": "train_mean_token_accuracy"}


def history_of(log: Sequence[dict[str, Any]]) -> list[HistoryRow]:
    """Return the losses by step, from the lines the Trainer logged."""
    lines: dict[int, dict[str, float]] = {}
    for entry in log:
        line = lines.setdefault(entry["step"], {})
        if "loss" in entry:
            line |= {"train_loss": entry["loss"], "train_accuracy": entry["accuracy"]}
        if "valid_loss" in entry:
            names = ("valid_loss", "valid_mean_token_accuracy")
            line |= {name: entry[name] for name in names}
    return [HistoryRow(step=step, **line) for step, line in sorted(lines.items()) if line]


def gather(
    place: Workplace,
    *,
    base_model: str,
    examples: Sequence[Example],
    history: Sequence[HistoryRow],
    full: dict[str, float],
    step: int,
) -> list[TrainedVersion]:
    """Return the adapters on disk, each probed as it lies there, in the engine's precision.

    Args:
        place: The job's folder.
        base_model: Path or name of the base model, which is loaded afresh.
        examples: Rows to choose the probe's from.
        history: Losses by step.
        full: What was measured on all held-out rows at the end.
        step: Optimiser steps after which the final adapter was what it is.
    """
    base = load_base(base_model, engine_dtype(base_model))
    chosen = choose_probe_examples(examples)
    folders = sorted(place.epochs.glob("step-*"), key=_step_of)
    found = []
    for folder in [*folders, place.final]:
        is_final = folder == place.final
        require_served(folder)
        done = step if is_final else _step_of(folder)
        adapted = load_adapter(base, folder)
        found.append(
            TrainedVersion(
                folder=str(folder.relative_to(place.root)),
                step=done,
                is_final=is_final,
                metrics=_metrics_at(done, history) | (full if is_final else {}),
                probe=probe(adapted, chosen),
            )
        )
        base = adapted.unload()
    return found


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _metrics_at(step: int, history: Sequence[HistoryRow]) -> dict[str, float]:
    metrics: dict[str, float] = {"step": step}
    for row in history:
        if row.step == step:
            for name in HistoryRow.__struct_fields__:
                value = getattr(row, name)
                if value is not None:
                    metrics[_EVENT_NAMES.get(name, name)] = value
    return metrics
