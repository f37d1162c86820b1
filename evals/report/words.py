"""Names and figures as a reader wants them.

It refuses to know the page.
"""

from collections.abc import Mapping
from typing import Any

HEADLINES: Mapping[str, str] = {
    "go": "The adapter is better than everything it was compared with.",
    "no_go": "The adapter should not take over.",
    "inconclusive": "These rows do not show whether the adapter is better.",
    "too_many_unscored": "No verdict: too many rows could not be scored.",
}
"""The verdict, or why there is none, in one sentence."""
_ARMS: Mapping[str, str] = {
    "base": "base model, bare prompt",
    "few_shot": "base model, few-shot prompt",
    "few_shot_nearest": "base model, most similar examples",
    "instruction": "base model, instruction",
    "adapter": "adapter",
    "production": "version in production",
}
_METRICS: Mapping[str, str] = {
    "json_valid": "valid JSON",
    "field_f1": "F1 of JSON fields",
    "field_precision": "precision of JSON fields",
    "field_recall": "recall of JSON fields",
    "json_schema": "valid under the schema",
    "chrf": "chrF",
    "sentence_bleu": "sentence BLEU",
    "corpus_bleu": "corpus BLEU",
    "rouge_l": "ROUGE-L",
    "numeric": "right number",
    "length": "distance of lengths",
    "refusal": "refusals",
    "brier": "Brier score",
    "score": "score by each row's own metric",
}


def arm_words(arm: str) -> str:
    """Return what an arm is called; a further model by its own name."""
    return _ARMS.get(arm, arm)


def metric_words(metric: str) -> str:
    """Return what a metric is called."""
    return _METRICS.get(metric, metric.replace("_", " "))


def number(value: float | None, *, sign: bool = False) -> str:
    """Return a figure, or a dash for an unknown one."""
    if value is None:
        return "–"
    return f"{value:{'+' if sign else ''}.3f}"


def ranged(estimate: Mapping[str, Any] | None, *, sign: bool = False) -> str:
    """Return a figure with its interval; a dash for an unknown one."""
    found = estimate or {}
    centre = found.get("mean", found.get("estimate"))
    if centre is None:
        return "–"
    if found.get("low") is None or found.get("high") is None:
        return f"{number(centre, sign=sign)} (n = {found.get('n', '?')})"
    return f"{number(centre, sign=sign)} {interval_words(found, sign=sign)}"


def interval_words(estimate: Mapping[str, Any], *, sign: bool = False) -> str:
    """Return an interval, or that there is none."""
    low, high = estimate["low"], estimate["high"]
    if low is None or high is None:
        return "[no interval]"
    return f"[{number(low, sign=sign)}, {number(high, sign=sign)}]"


def gain_tone(difference: Mapping[str, Any], *, higher_is_better: bool) -> str:
    """Return the colour of a difference: sure of better, sure of worse, or neither."""
    low, high = difference["low"], difference["high"]
    if low is None or high is None or low <= 0 <= high:
        return "unsure"
    return "good" if (low > 0) is higher_is_better else "bad"
