"""`python -m tests.benchmarks.methods`: what each technique learns of the example tickets.

It refuses to judge by loss: what counts is answers to held-out tickets that are right to the
letter, given by what would be published, on the base model as it is served.
"""

import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

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
from tests.benchmarks.serving import machine
from tests.benchmarks.serving.page import write_section
from trainer.base_config import read_shape
from trainer.finetune import train
from trainer.language_model import engine_dtype, load_adapter, load_base, load_tokenizer
from trainer.plan import resolve
from trainer.protocol import Plan, Progress, TrainedVersion
from trainer.stopping import Stopping
from trainer.workplace import Workplace

SECTION = "Methods"
EXAMPLES = Path("examples") / "triage"
MAX_RANK = 32
"""The engine's limit, as `GRAFTLINE_MAX_LORA_RANK` has it."""
BATCH = 20
"""Held-out tickets answered at once."""
MAX_NEW_TOKENS = 80
"""Longest answer; the longest target has about 45 tokens."""
ALPHA = 0.05
DEFAULT = "lora,qlora,dora,full"


class Asked(Record, frozen=True, kw_only=True):
    """What every technique is given."""

    epochs: int
    """Passes over the rows; 0 for auto."""
    rows: int
    """Training rows."""
    heldout: int
    """Held-out tickets."""
    seed: int
    """Seed of every run."""


class Figures(Record, frozen=True, kw_only=True):
    """What one technique came to."""

    technique: str
    """Its name, or `pissa`."""
    exact: Estimate
    """Held-out answers that are right to the letter."""
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


def main(
    *,
    techniques: Annotated[str, typer.Option(help="Names, with commas; 'pissa' too.")] = DEFAULT,
    epochs: Annotated[int, typer.Option(help="0 for auto.")] = 0,
    rows: Annotated[int, typer.Option(help="Training rows.")] = 900,
    heldout: Annotated[int, typer.Option(help="Held-out tickets asked.")] = 200,
    seed: Annotated[int, typer.Option(help="Seed of every run.")] = 7,
    write: Annotated[bool, typer.Option(help="Write docs/benchmarks.md.")] = True,
) -> None:
    """Train each technique on the example tickets, and ask it the held-out ones."""
    asked = Asked(epochs=epochs, rows=rows, heldout=heldout, seed=seed)
    found = []
    for name in techniques.split(","):
        with tempfile.TemporaryDirectory(prefix="graftline-bench-") as folder:
            figures = _examine(name, Path(folder), asked)
        found.append(figures)
        typer.echo(_line(figures))
    text = _page(found, asked)
    typer.echo(text)
    if write:
        write_section(SECTION, text)


def _examine(name: str, folder: Path, asked: Asked) -> Figures:
    place = Workplace(folder)
    plan = _plan(name, place, asked)
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
    return Figures(
        technique=name,
        exact=_exact(plan, place.root / final.folder, asked.heldout),
        version=final,
        learning_rate=plan.hyperparameters.learning_rate,
        epochs=plan.hyperparameters.n_epochs,
        seconds=seconds,
        tokens_per_second=speeds[-1],
    )


def _plan(name: str, place: Workplace, asked: Asked) -> Plan:
    wanted: dict[str, Any] = {"technique": name}
    if name == "pissa":
        wanted = {"lora_start": "pissa"}
    options = read_options(wanted | {"max_conversion_loss": 100.0})
    base = str(embedded_base())
    content = b"".join(
        (EXAMPLES / "train.jsonl").read_bytes().splitlines(keepends=True)[: asked.rows]
    )
    place.root.mkdir(parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    place.training.write_bytes(encoder.encode_lines(list(rows_of(content.splitlines()))))
    place.validation.write_bytes(encoder.encode_lines(_heldout(asked.heldout)))
    return Plan(
        job_id="ftjob-" + "be" * 12,
        base_model=base,
        base_name="tiny-base",
        seed=asked.seed,
        hyperparameters=resolve(
            {"n_epochs": asked.epochs or "auto"},
            rows=asked.rows,
            model=read_shape(base),
            max_lora_rank=MAX_RANK,
            options=options,
        ),
        options=options,
        max_lora_rank=MAX_RANK,
        max_length=2048,
        checkpoint_steps=10_000,
        training_file="file-train",
        training_sha256=sha256(content).hexdigest(),
        heldout_file="file-heldout",
        heldout_sha256=None,
    )


def _heldout(count: int) -> list[Row]:
    return list(rows_of((EXAMPLES / "heldout.jsonl").read_bytes().splitlines()))[:count]


def _exact(plan: Plan, folder: Path, heldout: int) -> Estimate:
    """Return the share of held-out tickets that an adapter answers to the letter."""
    base = load_base(plan.base_model, engine_dtype(plan.base_model))
    adapted = load_adapter(base, folder).eval()
    rows = _heldout(heldout)
    answers: list[str] = []
    for start in range(0, len(rows), BATCH):
        answers.extend(_answers(plan, adapted, rows[start : start + BATCH]))
    scores = ExactMatch().compute(predictions=answers, references=[row.target for row in rows])
    return proportion(round(sum(scores["scores"])), len(rows), ALPHA)


@torch.no_grad()
def _answers(plan: Plan, adapted: Any, rows: Sequence[Row]) -> list[str]:
    tokenizer = load_tokenizer(plan.base_model)
    prompts = [prompt_tokens(tokenizer, row) for row in rows]
    width = max(map(len, prompts))
    padding = tokenizer.pad_token_id
    ids = torch.tensor([[padding] * (width - len(one)) + one for one in prompts])
    mask = torch.tensor([[0] * (width - len(one)) + [1] * len(one) for one in prompts])
    made = adapted.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=MAX_NEW_TOKENS,
        pad_token_id=padding,
    )
    return [str(text) for text in tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)]


def _page(found: Sequence[Figures], asked: Asked) -> str:
    about = (
        f"{machine.today()}. `make bench-methods`: each technique trained on {asked.rows} of the "
        f"example tickets with everything `auto` but the epochs, seed {asked.seed}, one run each; "
        "then the published adapter, on the base model as it is served, answered "
        f"{asked.heldout} held-out tickets greedily (transformers). Exact match with Wilson's 95 % "
        "interval. Losses in nats a token, on at most 200 of them: as trained, as published (plain "
        "LoRA of the rank beside), the rise."
    )
    header = (
        "| technique | exact match | as trained | as published | rise | rank | epochs | "
        "learning rate | s | tokens/s |"
    )
    lines = [
        about,
        *machine.describe(),
        "",
        header,
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_line(figures) for figures in found),
        "",
        _overlap(found),
    ]
    return "\n".join(lines) + "\n"


def _line(figures: Figures) -> str:
    exact, metrics = figures.exact, figures.version.metrics
    loss = metrics.get("published_loss", metrics["full_valid_loss"])
    cells = [
        figures.technique,
        f"{exact.mean:.3f} [{exact.low:.3f}, {exact.high:.3f}]",
        f"{metrics.get('trained_loss', loss):.4f}",
        f"{loss:.4f}",
        f"{metrics.get('conversion_loss', 0.0):+.4f}",
        str(figures.version.rank),
        str(figures.epochs),
        f"{figures.learning_rate:.2g}",
        f"{figures.seconds:.0f}",
        f"{figures.tokens_per_second:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _overlap(found: Sequence[Figures]) -> str:
    """Return whether the techniques lie within one interval of each other."""
    lowest = min(figures.exact.high or 0.0 for figures in found)
    highest = max(figures.exact.low or 0.0 for figures in found)
    verdict = "overlap" if highest <= lowest else "do not all overlap"
    return f"The intervals of {', '.join(figures.technique for figures in found)} {verdict}."


if __name__ == "__main__":
    typer.run(main)
