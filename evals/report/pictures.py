"""Which figures of an evaluation the page draws, and in which colours.

It refuses to compute figures and to draw: places come from `registry.pages`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from evals.compare import ArmName
from evals.report.facts import Facts
from evals.report.words import arm_words, gain_tone, interval_words, metric_words, number, ranged
from registry.pages.charts import Chart, Line, chart
from registry.pages.lanes import Forest, Lane, Mark, forest
from registry.records import Record

Json = Mapping[str, Any]


class SegmentPicture(Record, frozen=True, kw_only=True):
    """Adapter and base, segment by segment."""

    metric: str
    """What is measured."""
    plot: Forest
    """The lanes, worst difference first."""
    shown: int
    """Segments drawn."""


def differences_of(results: Json, metrics: Sequence[str]) -> dict[str, Forest]:
    """Return the adapter's differences from every arm, by metric, in the metrics' order."""
    kinds = results["metric_kinds"]
    every = [*results["differences"], *results.get("model_differences", [])]
    plots = {}
    for metric in metrics:
        lanes = [
            _difference(each, higher_is_better=kinds[metric]["higher_is_better"])
            for each in every
            if each["metric"] == metric and each["estimate"] is not None
        ]
        plot = forest(lanes, zero=True)
        if plot is not None:
            plots[metric] = plot
    return plots


def losses_of(facts: Facts) -> Chart | None:
    """Return the curves of the job that made the adapter; none without any."""

    def points(name: str) -> list[tuple[float, float]]:
        found = ((point.step, getattr(point, name)) for point in facts.losses)
        return [(float(step), float(loss)) for step, loss in found if loss is not None]

    heldout = points("full_valid_loss") or points("valid_loss")
    return chart(
        [
            Line(label="training rows", points=points("train_loss"), tone="blue"),
            Line(label="held-out rows", points=heldout, tone="orange"),
        ]
    )


def segments_of(results: Json) -> SegmentPicture | None:
    """Return adapter and base by segment, where the adapter gains least first."""
    found = results.get("segments") or {}
    known = {
        name: each["arms"]
        for name, each in found.items()
        if all(each["arms"][arm]["mean"] is not None for arm in (ArmName.ADAPTER, ArmName.BASE))
    }
    if not known:
        return None
    metric = next(iter(found.values()))["metric"]
    sign = 1 if results["metric_kinds"][metric]["higher_is_better"] else -1

    def gain(name: str) -> float:
        arms = known[name]
        return float(sign * (arms[ArmName.ADAPTER]["mean"] - arms[ArmName.BASE]["mean"]))

    lanes = [
        Lane(
            label=f"{name} ({found[name]['rows']} rows)",
            marks=[
                _mark(known[name][ArmName.ADAPTER], "blue"),
                _mark(known[name][ArmName.BASE], "grey"),
            ],
            note=f"{number(known[name][ArmName.ADAPTER]['mean'])} against "
            f"{number(known[name][ArmName.BASE]['mean'])}",
        )
        for name in sorted(known, key=lambda name: (gain(name), name))
    ]
    plot = forest(lanes, zero=False)
    return None if plot is None else SegmentPicture(metric=metric, plot=plot, shown=len(lanes))


def reliability_of(results: Json) -> Chart | None:
    """Return how right adapter and base were at each confidence; none where it was not asked."""
    tones = {ArmName.ADAPTER: "blue", ArmName.BASE: "orange"}
    curves = [
        Line(
            label=arm_words(arm),
            points=[
                (each["confidence"], each["accuracy"])
                for each in results["arms"].get(arm, {}).get("reliability", [])
            ],
            tone=tone,
        )
        for arm, tone in tones.items()
    ]
    if not any(curve.points for curve in curves):
        return None
    ideal = Line(
        label="as sure as right", points=[(0.0, 0.0), (1.0, 1.0)], tone="grey", is_dashed=True
    )
    return chart([*curves, ideal])


def scores_of(results: Json, metric: str) -> Forest | None:
    """Return every arm's score on one metric."""
    lanes = [
        Lane(
            label=arm_words(arm),
            marks=[_mark(found["metrics"][metric], "blue" if arm == ArmName.ADAPTER else "grey")],
            note=ranged(found["metrics"][metric]),
        )
        for arm, found in results["arms"].items()
        if found["metrics"].get(metric, {}).get("mean") is not None
    ]
    return forest(lanes, zero=False)


def title_of_differences(metric: str) -> str:
    """Return what a plot of differences shows, for those who cannot see it."""
    return f"Adapter minus each other arm: {metric_words(metric)}"


def _difference(found: Json, *, higher_is_better: bool) -> Lane:
    tone = gain_tone(found, higher_is_better=higher_is_better)
    return Lane(
        label=arm_words(found["baseline"]),
        marks=[Mark(mean=found["estimate"], low=found["low"], high=found["high"], tone=tone)],
        note=f"{number(found['estimate'], sign=True)} {interval_words(found, sign=True)}"
        f", n = {found['n']}",
    )


def _mark(estimate: Json, tone: str) -> Mark:
    return Mark(mean=estimate["mean"], low=estimate["low"], high=estimate["high"], tone=tone)
