"""`python -m tests.benchmarks.methods`: what techniques and DPO learn of the example tickets.

It refuses to judge by loss: what counts is answers to held-out tickets that are right to the
letter, given by what would be published, on the base model as it is served.
"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from registry.training_options import Technique
from tests.benchmarks.methods import page, preferences
from tests.benchmarks.methods.examination import Asked, Figures, examine
from tests.benchmarks.serving.page import write_section

SECTION = "Methods"
DEFAULT = ",".join([*Technique, "pissa"])


def main(
    *,
    techniques: Annotated[str, typer.Option(help="Names, with commas; 'pissa' too.")] = DEFAULT,
    epochs: Annotated[int, typer.Option(help="0 for auto.")] = 0,
    multiplier: Annotated[float, typer.Option(help="Of the learning rate.")] = 1.0,
    rows: Annotated[int, typer.Option(help="Training rows.")] = 900,
    heldout: Annotated[int, typer.Option(help="Held-out tickets asked.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of every run.")] = 7,
    dpo: Annotated[bool, typer.Option(help="Learn from pairs of answers too.")] = True,
    note: Annotated[str, typer.Option(help="A sentence about the conditions.")] = "",
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Train each technique on the example tickets, and ask it the held-out ones."""
    asked = Asked(epochs=epochs, multiplier=multiplier, rows=rows, heldout=heldout, seed=seed)
    found: list[Figures] = []
    for name in techniques.split(","):
        with tempfile.TemporaryDirectory(prefix="graftline-bench-") as folder:
            found.append(examine(name, Path(folder), asked))
        typer.echo(page.line(found[-1]))
    pairs = None
    if dpo:
        with tempfile.TemporaryDirectory(prefix="graftline-bench-") as folder:
            pairs = preferences.examine(Path(folder), asked)
    text = page.page(found, pairs, asked, note)
    typer.echo(text)
    if write:
        write_section(SECTION, text)


if __name__ == "__main__":
    typer.run(main)
