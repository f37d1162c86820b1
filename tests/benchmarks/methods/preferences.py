"""DPO on the tickets that a first adapter got wrong: its own answers beside the right ones.

It refuses to know how figures are shown.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import typer

from evals.intervals import Estimate
from registry.chatdata import Row
from registry.records import Record
from tests.benchmarks.methods import examination
from tests.benchmarks.methods.examination import Asked, Figures
from trainer.language_model import engine_dtype, load_adapter, load_base
from trainer.preference_trainer import ACCURACY
from trainer.protocol import DPO, Plan
from trainer.workplace import Workplace

FIRST_SHARE = 3
"""One in so many training rows goes to the first adapter; it answers the others."""
HELDOUT_PAIRS = 5
"""One in so many pairs is held out."""


class Preferences(Record, frozen=True, kw_only=True):
    """What DPO made of a first adapter."""

    first: Figures
    """The first adapter."""
    rows: int
    """Rows it was trained on."""
    pairs: int
    """Pairs that DPO learned from."""
    heldout_pairs: int
    """Pairs that it did not see."""
    figures: Figures
    """The adapter after DPO; its accuracy is the share of held-out pairs in the right order."""

    @property
    def order(self) -> float:
        """Share of held-out pairs whose better answer gained more than the worse one."""
        return self.figures.version.metrics[f"full_valid_{ACCURACY}"]

    @property
    def before(self) -> Estimate:
        """Exact match of the first adapter."""
        return self.first.exact


def examine(folder: Path, asked: Asked) -> Preferences:
    """Train on a third of the rows, and by DPO on what comes out wrong of the others."""
    rows = examination.tickets("train")[: asked.rows]
    count = len(rows) // FIRST_SHARE
    start = msgspec.structs.replace(asked, rows=count)
    first = examination.examine("lora", folder / "first", start)
    place = Workplace(folder / "dpo")
    parent = folder / "first" / first.version.folder
    found = _pairs(examination.plan_of("lora", start), parent, rows[count:])
    training = [pair for number, pair in enumerate(found) if number % HELDOUT_PAIRS]
    heldout = [pair for number, pair in enumerate(found) if not number % HELDOUT_PAIRS]
    typer.echo(f"dpo: {len(found)} of {len(rows) - count} answers were wrong")
    examination.write_rows(place, training, heldout)
    shutil.copytree(parent, place.parent)
    plan = examination.plan_of("lora", asked, method=DPO, rows=len(training))
    figures = examination.run(plan, place, "dpo", examination.tickets("heldout")[: asked.heldout])
    return Preferences(
        first=first,
        rows=count,
        pairs=len(training),
        heldout_pairs=len(heldout),
        figures=figures,
    )


def _pairs(plan: Plan, adapter: Path, rows: Sequence[Row]) -> list[Row]:
    """Return rows with an adapter's own answer as the worse one, where it is wrong."""
    adapted = load_adapter(load_base(plan.base_model, engine_dtype(plan.base_model)), adapter)
    said = examination.answers(plan, adapted, rows)
    return [
        msgspec.structs.replace(row, rejected=[{"role": "assistant", "content": text}])
        for row, text in zip(rows, said, strict=True)
        if text != row.target
    ]
