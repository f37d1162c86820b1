"""The report as one HTML page that needs nothing but itself, with JavaScript off and no network.

It refuses to compute figures; what a person, a model or a file wrote is escaped by the template.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evals.report import drawing
from evals.report.drawing import Interval, Line
from evals.report.facts import Facts
from evals.report.words import (
    HEADLINES,
    arm_words,
    gain_tone,
    metric_words,
    number,
    ranged,
)
from evals.results import prompt_text

MAX_ROWS = 200
"""Held-out rows shown to browse: lost ones first; the table has all."""
MAX_TEXT = 4_000
"""Characters of a shown text."""
_SIDE = frozenset({"length", "repetition", "refusal", "brier", "field_precision", "field_recall"})

Json = Mapping[str, Any]


def as_html(facts: Facts) -> bytes:
    """Return the page."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"ranged": ranged, "number": number, "arm": arm_words}
    templates.filters["metric"] = metric_words
    results = facts.results
    primary = results["verdict"]["primary_metric"]
    page = templates.get_template("page.html.j2").render(
        facts=facts,
        results=results,
        verdict=results["verdict"],
        headline=HEADLINES[results["verdict"]["verdict"] or results["verdict"]["refusal"]],
        findings=results.get("findings") or {},
        metrics=_ordered(results["metric_kinds"], primary),
        side=_SIDE,
        forests=_forests(results, primary),
        losses=_loss_curves(facts),
        segments=_segments(results),
        reliability=_reliability(results),
        suites=results.get("suites") or {},
        rows=_rows(facts, primary),
        behaviour=_behaviour(facts),
        conditions=_conditions(facts),
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts.evaluation.finished_at or 0)),
    )
    return page.encode()


def _ordered(kinds: Json, primary: str) -> list[str]:
    """Return the metrics: the one that decides, then ours of interest, then the side ones."""
    return sorted(kinds, key=lambda name: (name != primary, name in _SIDE))


def _forests(results: Json, primary: str) -> list[tuple[str, Markup]]:
    """Return a plot of the adapter's differences for each metric."""
    kinds = results["metric_kinds"]
    every = [*results["differences"], *results.get("model_differences", [])]
    plots = []
    for metric in _ordered(kinds, primary):
        rows = [
            Interval(
                label=f"over {arm_words(each['baseline'])}",
                mean=each["estimate"],
                low=each["low"],
                high=each["high"],
                note=f"{number(each['estimate'], sign=True)}, n = {each['n']}",
                tone=gain_tone(each, higher_is_better=kinds[metric]["higher_is_better"]),
            )
            for each in every
            if each["metric"] == metric and each["estimate"] is not None
        ]
        title = f"Adapter minus the others: {metric_words(metric)}"
        plots.append((metric, drawing.forest(rows, title=title, zero=True)))
    return [(metric, plot) for metric, plot in plots if plot]


def _loss_curves(facts: Facts) -> Markup:
    """Return the curves of the job that made the adapter; empty without any."""

    def points(name: str) -> list[tuple[float, float]]:
        found = ((point.step, getattr(point, name)) for point in facts.losses)
        return [(float(step), float(loss)) for step, loss in found if loss is not None]

    heldout = points("full_valid_loss") or points("valid_loss")
    curves = [
        Line(label="training rows", points=points("train_loss"), tone="blue"),
        Line(label="held-out rows", points=heldout, tone="orange"),
    ]
    return drawing.lines(curves, title="Loss over optimiser steps", x_label="optimiser step")


def _segments(results: Json) -> list[tuple[str, Markup]]:
    """Return a plot for each segment, the largest first."""
    plots = []
    for name, found in (results.get("segments") or {}).items():
        rows = [
            Interval(
                label=arm_words(arm),
                mean=each["mean"],
                low=each["low"],
                high=each["high"],
                note=number(each["mean"]),
                tone="blue" if arm == "adapter" else "grey",
            )
            for arm, each in found["arms"].items()
            if each["mean"] is not None
        ]
        title = f"{name}: {metric_words(found['metric'])}, {found['rows']} rows"
        plots.append((title, drawing.forest(rows, title=title, zero=False)))
    return [(title, plot) for title, plot in plots if plot]


def _reliability(results: Json) -> Markup:
    """Return how right each arm was at each confidence; empty where it was not asked."""
    tones = {"adapter": "blue", "base": "orange"}
    curves = [
        Line(
            label=arm_words(arm),
            points=[(each["confidence"], each["accuracy"]) for each in found["reliability"]],
            tone=tones[arm],
        )
        for arm, found in results["arms"].items()
        if arm in tones and found.get("reliability")
    ]
    if not curves:
        return Markup("")
    ideal = Line(label="as sure as right", points=[(0.0, 0.0), (1.0, 1.0)], tone="grey")
    return drawing.lines([*curves, ideal], title="Reliability", x_label="confidence")


def _rows(facts: Facts, primary: str) -> list[dict[str, Any]]:
    """Return held-out rows to browse: those that the adapter lost to the base come first."""
    kinds = facts.results["metric_kinds"]
    metric = primary if primary in kinds else "exact_match"
    sign = 1 if kinds[metric]["higher_is_better"] else -1
    rows = [_row(facts, "heldout", number, metric, sign) for number in facts.rows["heldout"]]
    return sorted(rows, key=lambda row: (row["gain"], row["row"]))[:MAX_ROWS]


def _row(facts: Facts, suite: str, place: int, metric: str, sign: int) -> dict[str, Any]:
    answers = {a.arm: a for a in facts.answers if a.suite == suite and a.row == place}
    scores = {arm: answer.scores.get(metric) for arm, answer in answers.items()}
    ours, theirs = scores.get("adapter"), scores.get("base")
    gain = 0.0 if ours is None or theirs is None else sign * (ours - theirs)
    return {
        "row": place,
        "segment": facts.rows[suite][place].segment,
        "prompt": _shown(prompt_text(facts.rows[suite][place])),
        "target": _shown(facts.targets[suite][place]),
        "gain": gain,
        "standing": "lost" if gain < 0 else "won" if gain > 0 else "level",
        "answers": [
            {
                "arm": arm,
                "output": _shown(answer.output) if answer.output is not None else None,
                "error": answer.error,
                "score": scores[arm],
            }
            for arm, answer in answers.items()
        ],
    }


def _behaviour(facts: Facts) -> list[dict[str, Any]]:
    """Return the behaviour suite's rows whose answers changed, broken ones first."""
    suite = "behaviour"
    kinds = (facts.results.get("suites") or {}).get(suite, {}).get("metric_kinds", {})
    metric = "score" if "score" in kinds else "exact_match"
    rows = [_row(facts, suite, place, metric, 1) for place in facts.rows.get(suite, {})]
    changed = [row for row in rows if len({each["output"] for each in row["answers"]}) > 1]
    return sorted(changed, key=lambda row: (row["gain"], row["row"]))


def _conditions(facts: Facts) -> list[tuple[str, str]]:
    """Return what it takes to do the same again."""
    evaluation, adapter, results = facts.evaluation, facts.adapter, facts.results
    listed: list[tuple[str, object]] = [
        ("evaluation", evaluation.id),
        ("adapter", adapter.name),
        ("base model", adapter.base_model),
        ("held-out file", evaluation.heldout_file),
        ("training file", evaluation.training_file or "not known"),
        *((f"hash of {name}", value) for name, value in results.get("hashes", {}).items()),
        ("policy", evaluation.policy),
        ("options", evaluation.options or "defaults"),
        ("sampling", "temperature 0, fixed seed, through the service"),
        ("duration", f"{results.get('duration_seconds', 0):g} s"),
        ("answers kept from an earlier run", results.get("resumed_answers", 0)),
        ("base answers taken from earlier evaluations", results.get("cached_answers", 0)),
    ]
    if facts.job is not None:
        listed += [
            ("job", facts.job.id),
            ("seed of the training", facts.job.seed),
            ("hyperparameters", facts.job.hyperparameters),
            ("training options", facts.job.training or "defaults"),
        ]
    return [(name, _plain(value)) for name, value in listed]


def _plain(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _shown(text: str | None) -> str:
    words = text or ""
    return words if len(words) <= MAX_TEXT else f"{words[:MAX_TEXT]}…"
