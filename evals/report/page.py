"""The report as one HTML page that needs nothing but itself, with JavaScript off and no network.

It refuses to compute figures; what a person, a model or a file wrote is escaped by the template.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from evals.report import pictures
from evals.report.browsing import browse, changed
from evals.report.facts import Facts
from evals.report.words import HEADLINES, arm_words, interval_words, metric_words, number, ranged
from registry.pages.frame import templates
from registry.records import Record

_SIDE = frozenset({"length", "repetition", "refusal", "brier", "field_precision", "field_recall"})
_FILTERS: Mapping[str, Callable[..., Any]] = {
    "ranged": ranged,
    "number": number,
    "interval": interval_words,
    "arm": arm_words,
    "metric": metric_words,
    "picture_title": pictures.title_of_differences,
    "has_corpus": lambda arms: any("corpus_bleu" in arm for arm in arms.values()),
}

Json = Mapping[str, Any]


class Condition(Record, frozen=True, kw_only=True):
    """One thing it takes to do the same again."""

    name: str
    """What."""
    value: str
    """As text."""


def as_html(facts: Facts) -> bytes:
    """Return the page."""
    results = facts.results
    verdict = results["verdict"]
    metrics = _ordered(results["metric_kinds"], verdict["primary_metric"])
    primary = metrics[0]
    page = templates(Path(__file__).parent, _FILTERS).get_template("page.html.j2")
    html = page.render(
        facts=facts,
        results=results,
        verdict=verdict,
        headline=HEADLINES[verdict["verdict"] or verdict["refusal"]],
        findings=results.get("findings") or {},
        metrics=metrics,
        primary=primary,
        rival=verdict["baseline"] if verdict["baseline"] in results["arms"] else "base",
        gap=_gap(results, primary, verdict["baseline"]),
        side=_SIDE,
        scores=pictures.scores_of(results, primary),
        differences=pictures.differences_of(results, metrics),
        losses=pictures.losses_of(facts),
        segments=pictures.segments_of(results),
        reliability=pictures.reliability_of(results),
        suites=results.get("suites") or {},
        rows=browse(
            facts,
            "heldout",
            primary,
            higher_is_better=results["metric_kinds"][primary]["higher_is_better"],
        ),
        behaviour=_behaviour(facts),
        conditions=_conditions(facts),
        made=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts.evaluation.finished_at or 0)),
    )
    return html.encode()


def _ordered(kinds: Json, primary: str) -> list[str]:
    """Return the metrics: the one that decides, then ours of interest, then the side ones."""
    return sorted(kinds, key=lambda name: (name != primary, name in _SIDE))


def _gap(results: Json, metric: str, baseline: str) -> Json | None:
    """Return the adapter's difference from the arm that comes nearest to it."""
    found = (
        each
        for each in results["differences"]
        if (each["metric"], each["baseline"]) == (metric, baseline)
    )
    return next(found, None)


def _behaviour(facts: Facts) -> list[Any]:
    """Return the behaviour suite's rows whose answers changed, broken ones first."""
    kinds = (facts.results.get("suites") or {}).get("behaviour", {}).get("metric_kinds", {})
    return changed(browse(facts, "behaviour", "score" if "score" in kinds else "exact_match"))


def _conditions(facts: Facts) -> list[Condition]:
    """Return what it takes to do the same again."""
    evaluation, adapter, results = facts.evaluation, facts.adapter, facts.results
    listed: list[tuple[str, object]] = [
        ("evaluation", evaluation.id),
        ("adapter", adapter.name),
        ("base model", adapter.base_model),
        ("held-out file", evaluation.heldout_file),
        ("training file", evaluation.training_file or "not known"),
        *((f"hash of {name}", value) for name, value in results.get("hashes", {}).items()),
        ("policy", results["policy"]),
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
            ("the same weights again", f"graftline reproduce {facts.job.id}"),
        ]
    return [Condition(name=name, value=_plain(value)) for name, value in listed]


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_plain(each)}" for name, each in value.items())
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
