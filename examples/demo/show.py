"""What the demo prints: steps, the progress bar, tables.

It refuses to know how the figures came about.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from examples.demo.facts import ArmCount, DemoFacts

ARM_NAMES = {
    "base": "base model, bare prompt",
    "few_shot": "base model, few-shot prompt",
    "few_shot_nearest": "base model, similar examples",
    "instruction": "base model, instruction",
    "adapter": "adapter, bare prompt",
}
METRICS = ("exact_match", "json_valid", "field_f1", "chrf", "loss")  # the report has all
_LARGE = 10  # from here on one decimal says enough


class TrainingBar:
    """A progress bar fed from a job's metrics events."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def update(self, data: dict[str, Any]) -> None:
        """Show the figures of one event."""
        if self._task is None:
            self._task = self._progress.add_task(
                "training", total=data["total_steps"], loss="", speed="", left=""
            )
        changes: dict[str, Any] = {"completed": data["step"]}
        if data.get("train_loss") is not None:
            changes["loss"] = f"loss {data['train_loss']:.3f}"
        if data.get("tokens_per_second"):
            changes["speed"] = f"{data['tokens_per_second']:,.0f} tokens/s"
        if data.get("seconds_left") is not None:
            changes["left"] = f"{data['seconds_left']:.0f} s left"
        self._progress.update(self._task, **changes)


@contextmanager
def training_progress(console: Console) -> Iterator[TrainingBar]:
    """Show a bar with step, loss, speed and the time left."""
    columns = (
        TextColumn("  step {task.completed:.0f}/{task.total:.0f}"),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
    )
    with Progress(*columns, console=console) as progress:
        yield TrainingBar(progress)


def step(console: Console, number: int, title: str) -> None:
    """Print a step's headline."""
    console.print(f"\n[bold cyan]{number}[/bold cyan] [bold]{title}[/bold]")


def comparison(console: Console, evaluation: dict[str, Any]) -> None:
    """Print scores by arm, paired differences and the verdict, in 80 columns."""
    results = evaluation["results"]
    paired = {(each["metric"], each["baseline"]): each for each in results["differences"]}
    table = Table(
        *(f"{results['rows']} rows", "", "score", "adapter minus it"),
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=0,
    )
    for name in (each for each in results["metric_kinds"] if each in METRICS):
        for place, (arm, found) in enumerate(results["arms"].items()):
            gap = paired.get((name, arm))
            table.add_row(
                "" if place else name.replace("_", " "),
                ARM_NAMES.get(arm, arm).replace("base model", "base"),
                interval(found["metrics"].get(name)),
                "" if gap is None else interval({**gap, "mean": gap["estimate"]}, sign="+"),
            )
    console.print(table)
    verdict = results["verdict"]
    console.print(f"  verdict: [bold]{verdict['verdict']}[/bold]")
    for reason in verdict["reasons"]:
        console.print(Padding(Text(reason), (0, 0, 0, 4)))


def interval(found: dict[str, Any] | None, *, sign: str = "") -> str:
    """Return a mean with its interval, or a dash when there is none."""
    if found is None or found.get("mean") is None:
        return "–"
    mean = _figure(found["mean"], sign)
    if found.get("low") is None:
        return mean
    return f"{mean} [{_figure(found['low'], sign)}, {_figure(found['high'], sign)}]"


def mean_score(arm: ArmCount) -> str:
    """Return an arm's mean feedback score with its interval, or a dash without feedback."""
    found = {"mean": arm.mean_score, "low": arm.score_low, "high": arm.score_high}
    return interval(found)


def summary(console: Console, facts: DemoFacts, *, seconds: float) -> None:
    """Print the table that closes the demo."""
    table = Table("what", "seen", title="\nSummary", title_justify="left", show_lines=False)
    for name, value in summary_rows(facts, seconds=seconds):
        table.add_row(name, value)
    console.print(table)


def summary_rows(facts: DemoFacts, *, seconds: float) -> list[tuple[str, str]]:
    """Return the lines of the summary: what, and what was seen."""
    results = facts.evaluation["results"]
    by_arm = results["arms"]
    paired = {(found["metric"], found["baseline"]): found for found in results["differences"]}
    against_base = paired.get(("exact_match", "base"))
    rows = [
        ("base model", facts.base),
        ("adapter", facts.job.model),
        ("rows", f"{facts.files.training_rows} training, {facts.files.heldout_rows} held out"),
        ("training", f"{facts.job.seconds:.0f} s, {facts.job.trained_tokens:,} tokens with loss"),
    ]
    rows += [
        (f"exact match, {ARM_NAMES.get(arm, arm)}", interval(found["metrics"].get("exact_match")))
        for arm, found in by_arm.items()
    ]
    if against_base is not None:
        difference = interval({**against_base, "mean": against_base["estimate"]}, sign="+")
        rows.append(("paired difference to the base", f"{difference}, n = {against_base['n']}"))
    rows += [("verdict", results["verdict"]["verdict"])]
    rows += [
        (f"live, {arm.arm}", f"{arm.interactions} requests, mean score {mean_score(arm)}")
        for arm in facts.traffic.arms
    ]
    return [
        *rows,
        ("failed requests", f"{facts.traffic.failed} of {facts.traffic.requests}"),
        ("vLLM", f"process {facts.engine_pid} from the first step to the last"),
        ("whole run", f"{seconds:.0f} s"),
    ]


def _figure(value: float, sign: str) -> str:
    return format(value, f"{sign}.3f" if abs(value) < _LARGE else f"{sign}.1f")
