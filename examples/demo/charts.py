"""Which figures of the demo's run its report draws.

It refuses to draw: `registry.pages` does.
"""

from typing import Any

from examples.demo.facts import LossPoint
from examples.demo.show import ARM_NAMES, interval
from registry.pages.charts import Chart, Line, chart
from registry.pages.lanes import Forest, Lane, Mark, forest

_ADAPTER = "adapter"


def loss_curve(losses: list[LossPoint]) -> Chart | None:
    """Return the curve of training and held-out loss over steps."""
    train = [(float(each.step), each.train) for each in losses if each.train is not None]
    valid = [(float(each.step), each.valid) for each in losses if each.valid is not None]
    return chart(
        [
            Line(label="training rows", points=train, tone="blue"),
            Line(label="held-out rows", points=valid, tone="orange"),
        ]
    )


def score_intervals(results: dict[str, Any], metric: str) -> Forest | None:
    """Return one metric's mean and interval for each arm."""
    lanes = [
        Lane(
            label=ARM_NAMES.get(arm, arm),
            marks=[_mark(found["metrics"][metric], "blue" if arm == _ADAPTER else "grey")],
            note=interval(found["metrics"][metric]),
        )
        for arm, found in results["arms"].items()
        if found["metrics"].get(metric, {}).get("mean") is not None
    ]
    return forest(lanes, zero=False)


def differences(results: dict[str, Any], metric: str) -> Forest | None:
    """Return the paired differences of one metric, with intervals."""
    lanes = [
        Lane(
            label=ARM_NAMES.get(each["baseline"], each["baseline"]),
            marks=[_mark({**each, "mean": each["estimate"]}, "blue")],
            note=interval({**each, "mean": each["estimate"]}, sign="+"),
        )
        for each in results["differences"]
        if each["metric"] == metric and each["estimate"] is not None
    ]
    return forest(lanes, zero=True)


def _mark(found: dict[str, Any], tone: str) -> Mark:
    return Mark(mean=found["mean"], low=found.get("low"), high=found.get("high"), tone=tone)
