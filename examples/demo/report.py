"""The report: one page that needs nothing but itself.

It refuses to know where the figures came from.
"""

import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from examples.demo import charts
from examples.demo.facts import DemoFacts
from examples.demo.show import ARM_NAMES, METRICS, interval, mean_score, summary_rows

_HEADLINES = {
    "go": "The adapter is better than the base model and than a few-shot prompt.",
    "no_go": "The adapter is not better than what a prompt achieves.",
    "inconclusive": "The rows do not show whether the adapter is better.",
}


def write(path: Path, facts: DemoFacts, *, seconds: float) -> Path:
    """Write the page and return its path."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    results = facts.evaluation["results"]
    metrics = [name for name in results["metric_kinds"] if name in METRICS]
    page = templates.get_template("report.html.j2").render(
        facts=facts,
        results=results,
        arm_names=ARM_NAMES,
        interval=interval,
        mean_score=mean_score,
        headline=_HEADLINES[results["verdict"]["verdict"]],
        summary=summary_rows(facts, seconds=seconds),
        loss_curve=_picture(charts.loss_curve(facts.job.losses)),
        scores=[(name, _picture(charts.score_intervals(results, name))) for name in metrics],
        differences=[(name, _picture(charts.differences(results, name))) for name in metrics],
        made=time.strftime("%Y-%m-%d %H:%M"),
    )
    path.write_text(page, "utf-8")
    return path


def _picture(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - drawn by ourselves; its texts are escaped by matplotlib
