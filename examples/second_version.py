"""The second round of the loop, on rows of your own: `python -m examples.second_version`.

A first version goes to production. A second one is trained on the rows that are not held out too,
and examined against everything: the base model bare, with examples and with an instruction, a
checkpoint, and the version in production. It refuses to know how each step is done.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from openai import OpenAI
from rich.console import Console

from examples.demo import show, steps
from examples.demo.stack import RunningStack, running_stack
from registry.likeness import normal


def main(
    training: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Training rows, as chat JSONL.")
    ],
    heldout: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Rows no model sees in training.")
    ],
    instruction: Annotated[str, typer.Option(help="What one arm tells the base model.")],
    first_epochs: Annotated[int, typer.Option(help="Epochs of the first version.")] = 2,
    folder: Annotated[Path, typer.Option(help="Where the run keeps its data and report.")] = Path(
        ".graftline/second"
    ),
) -> None:
    """Train twice, examine the second version with every arm, promote it if it is better."""
    console = Console(highlight=False)
    data_dir = folder / time.strftime("%Y%m%d-%H%M%S")
    began = time.monotonic()
    kept = _without_heldout(console, training, heldout)
    with running_stack(console, data_dir) as stack:
        clean = data_dir / f"clean-{training.name}"
        clean.write_text("".join(json.dumps(row) + "\n" for row in kept), "utf-8")
        client = OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=2)
        first = _first_version(console, stack, client, (training, heldout), first_epochs)
        found = _second_version(
            console, stack, client, (clean, heldout), first=first, instruction=instruction
        )
        page = steps.save_reports(client, found, data_dir)
    console.print(f"\nReport: [bold]{page.absolute()}[/bold], {time.monotonic() - began:.0f} s")


def _first_version(
    console: Console, stack: RunningStack, client: OpenAI, rows: tuple[Path, Path], epochs: int
) -> str:
    """Return the name of a version trained in a hurry."""
    show.step(console, 1, "A first version")
    files = steps.upload(console, client, *rows)
    created = steps.create_job(console, client, files, model=stack.base, epochs=epochs)
    stack.await_ready()
    job = steps.follow_job(console, client, created)
    steps.await_adapter(console, client, job.model)
    show.comparison(console, steps.await_evaluation(console, client, job.model))
    return job.model


def _second_version(
    console: Console,
    stack: RunningStack,
    client: OpenAI,
    rows: tuple[Path, Path],
    *,
    first: str,
    instruction: str,
) -> dict[str, Any]:
    """Return the evaluation of the second version, which is promoted if that says `go`."""
    show.step(console, 2, "A second version")
    files = steps.upload(console, client, *rows)
    created = steps.create_job(console, client, files, model=stack.base, epochs=None)
    job = steps.follow_job(console, client, created)
    steps.await_adapter(console, client, job.model)
    steps.await_evaluation(console, client, job.model)
    show.step(console, 3, "The first goes to production; the second must beat it")
    reason = "a first version, so that there is one in production"
    body = {"name": steps.DEPLOYMENT, "stable": first, "override_reason": reason}
    trial = {"candidate": job.model, "candidate_weight": 0.1}
    client.post("/deployments", cast_to=dict[str, Any], body=body | trial)
    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    found = steps.examine_with_every_arm(
        console,
        client,
        job.model,
        files,
        instruction=instruction,
        deployment=steps.DEPLOYMENT,
        models=[each.fine_tuned_model_checkpoint for each in checkpoints[-1:]],
    )
    show.comparison(console, found)
    if found["results"]["verdict"]["verdict"] == "go":
        place = f"/deployments/{steps.DEPLOYMENT}/promote"
        client.post(place, cast_to=dict[str, Any], body={})
        console.print(f"  promoted: {job.model}")
    return found


def _without_heldout(console: Console, training: Path, heldout: Path) -> list[dict[str, Any]]:
    """Return the training rows whose question is not held out."""
    asked = {question for question, _ in _asked(heldout)}
    rows = _asked(training)
    kept = [row for question, row in rows if question not in asked]
    console.print(f"  {len(rows) - len(kept)} of {len(rows)} training rows are held out too")
    return kept


def _asked(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return each row of a file with what it asks.

    Raises:
        BadParameter: It is no chat JSONL.
    """
    try:
        return [(normal(row["messages"][-2]["content"]), row) for row in steps.rows_of(path)]
    except (ValueError, LookupError, TypeError, AttributeError) as exc:
        message = f"{path} has a row that is no conversation; `graftline data {path}` says which."
        raise typer.BadParameter(message) from exc


if __name__ == "__main__":
    typer.run(main)
