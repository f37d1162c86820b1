"""The report's pictures, as SVG text.

It refuses to know the page they stand on.
"""

import io
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from examples.demo.facts import LossPoint
from examples.demo.show import ARM_NAMES

_STYLE: dict[str, Any] = {
    "font.size": 9,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_BLUE, _ORANGE, _GREY = "#2563eb", "#ea580c", "#64748b"


def loss_curve(losses: list[LossPoint]) -> str:
    """Return the curve of training and held-out loss over steps."""
    with style.context(_STYLE):
        figure = Figure(figsize=(7.2, 3.0), layout="constrained")
        axes = figure.subplots()
        train = [(point.step, point.train) for point in losses if point.train is not None]
        valid = [(point.step, point.valid) for point in losses if point.valid is not None]
        if train:
            axes.plot(*zip(*train, strict=True), color=_BLUE, linewidth=1.4, label="training")
        if valid:
            axes.plot(
                *zip(*valid, strict=True), "o-", color=_ORANGE, markersize=4, label="held out"
            )
        axes.set_xlabel("optimiser step")
        axes.set_ylabel("loss (nats a token)")
        axes.set_ylim(bottom=0)
        axes.grid(color="#e2e8f0", linewidth=0.6)
        axes.legend(frameon=False)
        return _svg(figure)


def score_intervals(results: dict[str, Any], metric: str) -> str:
    """Return one metric's mean and interval for each arm."""
    rows = [
        (ARM_NAMES.get(arm, arm), found["metrics"][metric])
        for arm, found in results["arms"].items()
        if metric in found["metrics"]
    ]
    return _forest(rows, label=metric.replace("_", " "), zero=False)


def differences(results: dict[str, Any], metric: str) -> str:
    """Return the paired differences of one metric, with intervals."""
    rows = [
        (
            f"adapter minus {ARM_NAMES.get(d['baseline'], d['baseline'])}",
            {**d, "mean": d["estimate"]},
        )
        for d in results["differences"]
        if d["metric"] == metric
    ]
    return _forest(rows, label=f"difference of {metric.replace('_', ' ')}", zero=True)


def _forest(rows: list[tuple[str, dict[str, Any]]], *, label: str, zero: bool) -> str:
    with style.context(_STYLE):
        figure = Figure(figsize=(7.2, 0.7 + 0.42 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for position, (_, found) in enumerate(reversed(rows)):
            low, high = found.get("low"), found.get("high")
            if low is not None and high is not None:
                axes.plot([low, high], [position, position], color=_BLUE, linewidth=2.2)
            axes.plot(found["mean"], position, "o", color=_BLUE, markersize=6)
        if zero:
            axes.axvline(0, color=_GREY, linewidth=0.9, linestyle="--")
        axes.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(label)
        axes.grid(axis="x", color="#e2e8f0", linewidth=0.6)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
