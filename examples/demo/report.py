"""The report: one page that needs nothing but itself.

It refuses to know where the figures came from.
"""

import time
from pathlib import Path

from examples.demo import charts
from examples.demo.facts import DemoFacts
from examples.demo.show import ARM_NAMES, METRICS, interval, mean_score, summary_rows
from registry.pages.frame import templates

_HEADLINES = {
    "go": "The adapter is better than the base model and than a few-shot prompt.",
    "no_go": "The adapter is not better than what a prompt achieves.",
    "inconclusive": "The rows do not show whether the adapter is better.",
}


def write(path: Path, facts: DemoFacts, *, seconds: float) -> Path:
    """Write the page and return its path."""
    results = facts.evaluation["results"]
    metrics = [name for name in results["metric_kinds"] if name in METRICS]
    page = templates(Path(__file__).parent).get_template("report.html.j2")
    html = page.render(
        facts=facts,
        results=results,
        arm_names=ARM_NAMES,
        interval=interval,
        mean_score=mean_score,
        headline=_HEADLINES.get(results["verdict"]["verdict"], _HEADLINES["inconclusive"]),
        summary=summary_rows(facts, seconds=seconds),
        losses=charts.loss_curve(facts.job.losses),
        scores={name: charts.score_intervals(results, name) for name in metrics},
        differences={name: charts.differences(results, name) for name in metrics},
        made=time.strftime("%Y-%m-%d %H:%M"),
    )
    path.write_text(html, "utf-8")
    return path
