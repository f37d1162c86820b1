"""Run the demo: `python -m examples.demo`.

It refuses to know the steps: see `examples/demo/steps.py`.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from openai import OpenAI
from rich.console import Console

from examples.demo import report, show, steps
from examples.demo.facts import DemoFacts
from examples.demo.stack import RunningStack, running_stack

EXAMPLES = Path(__file__).parent.parent


def main(
    training: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Training rows.")
    ] = EXAMPLES / "triage" / "train.jsonl",
    heldout: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="Rows the model never sees in training."),
    ] = EXAMPLES / "triage" / "heldout.jsonl",
    folder: Annotated[Path, typer.Option(help="Where the run keeps its data and report.")] = Path(
        ".graftline/demo"
    ),
    epochs: Annotated[int | None, typer.Option(help="Epochs; chosen by itself if absent.")] = None,
    instruction: Annotated[
        str | None,
        typer.Option(help="Examine once more, with every arm, this instruction among them."),
    ] = None,
) -> None:
    """Upload, train, load, evaluate, split, promote, report; then stop everything."""
    console = Console(highlight=False)
    data_dir = folder / time.strftime("%Y%m%d-%H%M%S")
    began = time.monotonic()
    with running_stack(console, data_dir) as stack:
        facts = run_steps(
            console,
            stack,
            training=training,
            heldout=heldout,
            epochs=epochs,
            folder=data_dir,
            instruction=instruction,
        )
    seconds = time.monotonic() - began
    page = report.write(data_dir / "report.html", facts, seconds=seconds)
    show.summary(console, facts, seconds=seconds)
    console.print(f"\nReport: [bold]{page.absolute()}[/bold]")
    sys.exit(0)


def run_steps(
    console: Console,
    stack: RunningStack,
    *,
    training: Path,
    heldout: Path,
    epochs: int | None,
    folder: Path,
    instruction: str | None = None,
) -> DemoFacts:
    """Drive the API through the whole loop and return what was seen."""
    client = OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=2)
    show.step(console, 1, "Upload the training and the held-out rows")
    files = steps.upload(console, client, training, heldout)
    show.step(console, 2, "Fine-tune: LoRA on the base model")
    created = steps.create_job(console, client, files, model=stack.base, epochs=epochs)
    console.print("  It trains while vLLM still loads the base model.\n")
    stack.await_ready()
    engine_pid = stack.engine_pid()
    job = steps.follow_job(console, client, created)
    show.step(console, 3, "The adapter is published, loaded into the running vLLM, and probed")
    adapter = steps.await_adapter(console, client, job.model)
    steps.check_engine_process(console, stack, engine_pid)
    show.step(console, 4, "Evaluate on held-out rows: base, few-shot prompt, adapter")
    evaluation = steps.await_evaluation(console, client, job.model)
    if instruction is not None:
        evaluation = steps.examine_with_every_arm(
            console, client, job.model, files, instruction=instruction
        )
    show.comparison(console, evaluation)
    page = steps.save_reports(client, evaluation, folder)
    console.print(f"  in full: {page.absolute()}")
    show.step(console, 5, "Deploy with a sticky 50/50 split, send traffic, give feedback")
    traffic = steps.split_traffic(console, client, stack.base, job.model, heldout)
    show.step(console, 6, "Promote the adapter, and stream an answer")
    verdict = evaluation["results"]["verdict"]["verdict"]
    answer = steps.promote_and_stream(console, client, heldout, adapter=job.model, verdict=verdict)
    return DemoFacts(
        base=stack.base,
        engine_pid=engine_pid,
        files=files,
        job=job,
        adapter=adapter,
        evaluation=evaluation,
        traffic=traffic,
        answer=answer,
    )


if __name__ == "__main__":
    typer.run(main)
