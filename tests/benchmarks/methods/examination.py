"""One technique's way from tickets to answers: planned, trained, converted, asked.

It refuses to know other techniques, and how figures are shown.
"""

import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import torch
import typer

from evals.intervals import Estimate, proportion
from evals.scorers.exact_match import ExactMatch
from registry.chatdata import Row, rows_of
from registry.records import Record
from registry.rendering import prompt_tokens
from registry.settings import embedded_base
from registry.training_options import read_options
from trainer.base_config import read_shape
from trainer.finetune import train
from trainer.language_model import engine_dtype, load_adapter, load_base, load_tokenizer
from trainer.plan import resolve
from trainer.protocol import Plan, Progress, TrainedVersion
from trainer.stopping import Stopping
from trainer.workplace import Workplace

EXAMPLES = Path("examples") / "triage"
MAX_RANK = 32
"""The engine's limit, as `GRAFTLINE_MAX_LORA_RANK` has it."""
BATCH = 20
"""Tickets answered at once."""
MAX_NEW_TOKENS = 80
"""Longest answer; the longest target has about 45 tokens."""
ALPHA = 0.05


class Asked(Record, frozen=True, kw_only=True):
    """What every technique is given."""

    epochs: int
    """Passes over the rows; 0 for auto."""
    multiplier: float
    """Of the learning rate."""
    rows: int
    """Training rows."""
    heldout: int
    """Held-out tickets."""
    seed: int
    """Seed of every run."""


class Figures(Record, frozen=True, kw_only=True):
    """What one run came to."""

    technique: str
    """Its name, or `pissa`."""
    exact: Estimate
    """Held-out answers of the published adapter that are right to the letter."""
    whole: Estimate | None
    """Those of the full checkpoint, where there is one."""
    version: TrainedVersion
    """The final adapter."""
    learning_rate: float
    """As resolved from `auto`."""
    epochs: int
    """Passes over the rows."""
    seconds: float
    """From the plan to the result; answering is not in it."""
    tokens_per_second: float
    """At the last report."""


def examine(name: str, folder: Path, asked: Asked) -> Figures:
    """Train a technique on the first tickets, and ask it the held-out ones."""
    place = Workplace(folder)
    plan = plan_of(name, asked)
    write_rows(place, tickets("train")[: asked.rows], tickets("heldout")[: asked.heldout])
    return run(plan, place, name, tickets("heldout")[: asked.heldout])


def run(plan: Plan, place: Workplace, name: str, heldout: Sequence[Row]) -> Figures:
    """Train what a plan says on the rows of a folder, and ask the published adapter."""
    speeds = [0.0]

    def report(message: object) -> None:
        if isinstance(message, Progress):
            speeds.append(message.tokens_per_second)
        else:
            typer.echo(f"{name}: {getattr(message, 'message', message)}")

    started_at = time.monotonic()
    result = train(plan, place, report, Stopping())
    assert result is not None
    seconds = time.monotonic() - started_at
    final = result.versions[-1]
    dtype = engine_dtype(plan.base_model)
    adapted = load_adapter(load_base(plan.base_model, dtype), place.root / final.folder)
    whole = None
    if final.full is not None:
        whole = exact(plan, load_base(str(place.root / final.full), dtype), heldout)
    return Figures(
        technique=name,
        exact=exact(plan, adapted, heldout),
        whole=whole,
        version=final,
        learning_rate=plan.hyperparameters.learning_rate,
        epochs=plan.hyperparameters.n_epochs,
        seconds=seconds,
        tokens_per_second=speeds[-1],
    )


def plan_of(name: str, asked: Asked, *, method: str = "supervised", rows: int = 0) -> Plan:
    """Return the plan of a technique, everything `auto` but what is asked for.

    Args:
        name: The technique, or `pissa`.
        asked: What it is given.
        method: `supervised` or `dpo`.
        rows: Rows it trains on; those that are asked for by default.
    """
    wanted: dict[str, Any] = {"technique": name}
    if name == "pissa":
        wanted = {"lora_start": "pissa"}
    # What a conversion costs is shown here, and refuses nothing.
    options = read_options(wanted | {"max_conversion_loss": 100.0})
    base = str(embedded_base())
    return Plan(
        job_id="ftjob-" + "be" * 12,
        base_model=base,
        base_name="tiny-base",
        seed=asked.seed,
        hyperparameters=resolve(
            {"n_epochs": asked.epochs or "auto", "learning_rate_multiplier": asked.multiplier},
            rows=rows or asked.rows,
            model=read_shape(base),
            max_lora_rank=MAX_RANK,
            method=method,
            options=options,
        ),
        options=options,
        method=method,
        max_lora_rank=MAX_RANK,
        max_length=2048,
        checkpoint_steps=10_000,
        training_file="file-train",
        training_sha256=sha256(b"train").hexdigest(),
        heldout_file="file-heldout",
        heldout_sha256=None,
    )


def write_rows(place: Workplace, training: Sequence[Row], heldout: Sequence[Row]) -> None:
    """Write the rows of a run into its folder."""
    place.root.mkdir(parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    place.training.write_bytes(encoder.encode_lines(training))
    place.validation.write_bytes(encoder.encode_lines(heldout))


def tickets(part: str) -> list[Row]:
    """Return the rows of `train` or `heldout`."""
    return list(rows_of((EXAMPLES / f"{part}.jsonl").read_bytes().splitlines()))


def exact(plan: Plan, model: Any, rows: Sequence[Row]) -> Estimate:
    """Return the share of tickets that a model answers to the letter."""
    said = answers(plan, model, rows)
    scores = ExactMatch().compute(predictions=said, references=[row.target for row in rows])
    return proportion(round(sum(scores["scores"])), len(rows), ALPHA)


@torch.no_grad()
def answers(plan: Plan, model: Any, rows: Sequence[Row]) -> list[str]:
    """Return a model's greedy answers to tickets."""
    tokenizer = load_tokenizer(plan.base_model)
    padding = tokenizer.pad_token_id
    said: list[str] = []
    for start in range(0, len(rows), BATCH):
        prompts = [prompt_tokens(tokenizer, row) for row in rows[start : start + BATCH]]
        width = max(map(len, prompts))
        made = model.eval().generate(
            input_ids=torch.tensor([[padding] * (width - len(one)) + one for one in prompts]),
            attention_mask=torch.tensor(
                [[0] * (width - len(one)) + [1] * len(one) for one in prompts]
            ),
            do_sample=False,
            max_new_tokens=MAX_NEW_TOKENS,
            pad_token_id=padding,
        )
        said += tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
    return said
