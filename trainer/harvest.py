"""What a finished training leaves: its history, and adapters with what was measured on them.

It refuses to know how it was trained, and where it is published.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trainer.conversion import Conversion
from trainer.follower import Report
from trainer.language_model import engine_dtype, load_adapter, load_base
from trainer.measuring import choose_probe_examples, probe
from trainer.preference_trainer import ACCURACY
from trainer.protocol import DPO, HistoryRow, Plan, TrainedVersion
from trainer.run import Material
from trainer.targets import require_served
from trainer.workplace import Workplace

_EVENT_NAMES = {"train_accuracy": "train_mean_token_accuracy"}
_PAIR_NAMES = {
    "train_accuracy": f"train_{ACCURACY}",
    "valid_mean_token_accuracy": f"valid_{ACCURACY}",
}


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
    plan: Plan,
    material: Material,
    history: Sequence[HistoryRow],
    full: dict[str, float],
    step: int,
    report: Report,
) -> list[TrainedVersion]:
    """Return the adapters on disk, each probed as it is published, in the engine's precision.

    Args:
        place: The job's folder.
        plan: What was trained. Its base model is loaded afresh.
        material: Rows to choose the probe's from, and to measure conversions on.
        history: Losses by step.
        full: What was measured on all held-out rows at the end.
        step: Optimiser steps after which the final adapter was what it is.
        report: Told what conversions cost.

    Raises:
        TrainingFailed: The final adapter loses too much by its conversion to plain LoRA, or the
            engine would not apply all of an adapter.
    """
    base = load_base(plan.base_model, engine_dtype(plan.base_model))
    examples = material.heldout or material.training
    conversion = Conversion(plan, place, examples, material.padding)
    chosen = choose_probe_examples(examples)
    names = _PAIR_NAMES if plan.method == DPO else _EVENT_NAMES
    folders = sorted(place.epochs.glob("step-*"), key=_step_of)
    found = []
    for folder in [*folders, place.final]:
        is_final = folder == place.final
        done = step if is_final else _step_of(folder)
        plain = conversion.plain(folder, base)
        require_served(plain.folder)
        adapted = load_adapter(base, plain.folder)
        cost = conversion.cost(plain, adapted)
        notice = conversion.judge(cost, step=done, is_final=is_final)
        if notice is not None:
            report(notice)
        if is_final or notice is None or notice.level == "info":
            found.append(
                TrainedVersion(
                    folder=str(plain.folder.relative_to(place.root)),
                    step=done,
                    is_final=is_final,
                    metrics=_metrics_at(done, history, names) | (full if is_final else {}) | cost,
                    probe=probe(adapted, chosen),
                    rank=plain.rank,
                    full=_relative(conversion.keep_full(folder), place) if is_final else None,
                )
            )
        base = adapted.unload()
    return found


def _relative(folder: Path | None, place: Workplace) -> str | None:
    return None if folder is None else str(folder.relative_to(place.root))


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _metrics_at(
    step: int, history: Sequence[HistoryRow], names: Mapping[str, str]
) -> dict[str, float]:
    metrics: dict[str, float] = {"step": step}
    for row in history:
        if row.step == step:
            for name in HistoryRow.__struct_fields__:
                value = getattr(row, name)
                if value is not None:
                    metrics[names.get(name, name)] = value
    return metrics
