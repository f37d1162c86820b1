"""An adapter's model card: Markdown with the metadata block that model hubs read. Pure.

It refuses to know anything but a manifest and an exam. What users wrote is shown as they wrote it,
and never taken for Markdown, HTML or metadata.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from registry.artifacts import Manifest
from registry.records import Evaluation, Verdict

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~<>&])")
_LONGEST_TEXT = 500
_VERDICTS = {
    Verdict.GO: "go: it is better than the base model, and nothing that was guarded got worse",
    Verdict.NO_GO: "no_go: it is not better, or something that was guarded got worse",
    Verdict.INCONCLUSIVE: "inconclusive: the rows do not tell",
}
_ALREADY_SHOWN = frozenset({"n_epochs", "batch_size", "learning_rate", "lora_rank", "lora_alpha"})


def card_of(manifest: Manifest, evaluation: Evaluation | None = None) -> str:
    """Return the card of a version.

    Args:
        manifest: Its manifest.
        evaluation: Its newest exam that came to an end, if there is one.
    """
    parts = [
        _metadata(manifest),
        f"# {_text(manifest.name)}\n\n{_summary(manifest)}",
        _section("Training", _training(manifest)),
        _section("Measured at the end of training", _figures(manifest.metrics)),
        _evaluation(evaluation),
        _section("Made with", sorted(manifest.libraries.items())),
        f"## Again\n\n{_again(manifest)}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(manifest: Manifest) -> str:
    """Return the YAML block; JSON strings are YAML strings, whatever is in them."""
    lines = [
        f"base_model: {json.dumps(manifest.base_model)}",
        "library_name: peft",
        "pipeline_tag: text-generation",
        "tags:",
        "- lora",
        "- graftline",
    ]
    return "\n".join(["---", *lines, "---"])


def _summary(manifest: Manifest) -> str:
    origin = "was imported" if manifest.job_id is None else "was trained by Graftline"
    sentences = [f"A LoRA adapter for {_text(manifest.base_model)} that {origin}."]
    if manifest.parent is not None:
        sentences.append(f"Its training went on from {_text(manifest.parent)}.")
    return " ".join(sentences)


def _training(manifest: Manifest) -> list[tuple[str, object]]:
    chosen, plan = manifest.hyperparameters, manifest.plan
    names = {
        "job": manifest.job_id,
        "training file": plan.get("training_file"),
        "its SHA-256": manifest.training_sha256,
        "held-out file": plan.get("heldout_file"),
        "its SHA-256 (held-out)": manifest.validation_sha256,
        "base model SHA-256": manifest.base_sha256,
        "chat template SHA-256": manifest.template_sha256,
        "seed": manifest.seed,
        "optimiser steps": manifest.step,
        "epochs": chosen.get("n_epochs"),
        "batch size": chosen.get("batch_size"),
        "learning rate": chosen.get("learning_rate"),
        "LoRA rank": chosen.get("lora_rank"),
        "LoRA alpha": chosen.get("lora_alpha"),
    }
    others = {name.replace("_", " "): v for name, v in chosen.items() if name not in _ALREADY_SHOWN}
    return [(name, value) for name, value in {**names, **others}.items() if value is not None]


def _figures(metrics: Mapping[str, float]) -> list[tuple[str, object]]:
    return [(name.replace("_", " "), f"{value:.4g}") for name, value in sorted(metrics.items())]


def _evaluation(evaluation: Evaluation | None) -> str:
    if evaluation is None or evaluation.results is None or evaluation.verdict is None:
        return "## Evaluation\n\nThere is no finished exam of this version yet."
    results = evaluation.results
    lines = [
        (
            f"Exam {_text(evaluation.id)} on {results.get('rows', '?')} held-out rows "
            f"({_text(evaluation.heldout_file)}). Verdict: **{_VERDICTS[evaluation.verdict]}**."
        ),
        _table(("arm", "metric", "mean", "interval", "n"), _scores(results)),
    ]
    reasons = results.get("verdict", {}).get("reasons", [])
    lines += [f"- {_text(reason)}" for reason in reasons]
    return "## Evaluation\n\n" + "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])


def _scores(results: Mapping[str, Any]) -> Iterable[tuple[object, ...]]:
    for arm, scored in results.get("arms", {}).items():
        for metric, estimate in scored.get("metrics", {}).items():
            yield arm, metric, _number(estimate.get("mean")), _interval(estimate), estimate.get("n")


def _interval(estimate: Mapping[str, Any]) -> str:
    if estimate.get("low") is None or estimate.get("high") is None:
        return "too few data"
    return f"{_number(estimate['low'])} to {_number(estimate['high'])}"


def _number(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


def _again(manifest: Manifest) -> str:
    if manifest.job_id is None:
        return "It was trained elsewhere: how is not known here."
    return (
        f"`graftline reproduce {manifest.job_id}` trains it again from its manifest and the stored "
        "files, and compares the bytes of the weights."
    )


def _section(title: str, rows: Iterable[tuple[str, object]]) -> str:
    found = list(rows)
    return f"## {title}\n\n{_table(('what', 'value'), found)}" if found else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *(map(_text, map(str, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(words: str) -> str:
    """Return words as Markdown shows them unchanged, on one line and of bounded length."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    if len(line) > _LONGEST_TEXT:
        line = f"{line[:_LONGEST_TEXT]}…"
    return _SPECIAL.sub(r"\\\1", line)
