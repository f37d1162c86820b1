"""What the demo prints: steps, the progress bar, tables.

It refuses to know how the figures came about.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from examples.demo.facts import ArmCount, DemoFacts

ARM_NAMES = {
    "base": "base model, bare prompt",
    "few_shot": "base model, few-shot prompt",
    "few_shot_nearest": "base model, similar examples",
    "instruction": "base model, instruction",
    "adapter": "adapter, bare prompt",
}
METRICS = ("exact_match", "json_valid", "field_f1", "chrf", "loss")  # the report has all


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
    """Print scores by arm, paired differences and the verdict."""
    results = evaluation["results"]
    kinds = [name for name in results["metric_kinds"] if name in METRICS]
    scores = Table("arm", *kinds, title=f"Held-out rows: {results['rows']}", title_justify="left")
    for arm, found in results["arms"].items():
        scores.add_row(
            ARM_NAMES.get(arm, arm), *(interval(found["metrics"].get(name)) for name in kinds)
        )
    console.print(scores)
    differences = Table("adapter minus", "metric", "difference", "n", "p (Holm)")
    for found in (each for each in results["differences"] if each["metric"] in kinds):
        differences.add_row(
            ARM_NAMES.get(found["baseline"], found["baseline"]),
            found["metric"],
            interval({**found, "mean": found["estimate"]}, sign="+"),
            str(found["n"]),
            _p_value(found.get("p_adjusted")),
        )
    console.print(differences)
    verdict = results["verdict"]
    console.print(f"  verdict: [bold]{verdict['verdict']}[/bold]")
    for reason in verdict["reasons"]:
        console.print(f"    {reason}")


def interval(found: dict[str, Any] | None, *, sign: str = "") -> str:
    """Return a mean with its interval, or a dash when there is none."""
    if found is None or found.get("mean") is None:
        return "–"
    mean = format(found["mean"], f"{sign}.3f")
    if found.get("low") is None:
        return mean
    return f"{mean} [{found['low']:.3f}, {found['high']:.3f}]"


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


def _p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"
