"""Runs of the training itself in this process, on the nano base.

It refuses to know which claim a test makes.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from registry.artifacts import sha256_of
from registry.chatdata import Row
from registry.training_options import TrainingOptions
from trainer.finetune import train
from trainer.plan import Hyperparameters
from trainer.protocol import Message, Notice, Plan, Progress, Result
from trainer.stopping import Stopping
from trainer.workplace import Workplace

JOB = "ftjob-" + "ef" * 12
CHECKPOINT_STEPS = 4


class Run:
    """One job's folder, trained in as often as a test likes."""

    def __init__(
        self, folder: Path, plan: Plan, training: Sequence[Row], heldout: Sequence[Row]
    ) -> None:
        self.place = Workplace(folder)
        self.place.root.mkdir(parents=True)
        self.plan = plan
        self.messages: list[Message] = []
        encoder = msgspec.json.Encoder()
        self.place.training.write_bytes(encoder.encode_lines(training))
        if heldout:
            self.place.validation.write_bytes(encoder.encode_lines(heldout))

    def train(self) -> Result:
        """Train to the end."""
        result = train(self.plan, self.place, self.messages.append, Stopping())
        assert result is not None
        return result

    def train_until(self, step: int) -> None:
        """Train until a step is reported, and ask for the end then."""
        stopping = Stopping()

        def report(message: Message) -> None:
            self.messages.append(message)
            stopping.is_asked = isinstance(message, Progress) and message.step >= step

        train(self.plan, self.place, report, stopping)

    def said(self) -> list[str]:
        """Return the notices."""
        return [message.message for message in self.messages if isinstance(message, Notice)]

    def published_sha256(self, result: Result) -> str:
        """Return the hash of the weights that a result would publish."""
        return sha256_of(self.place.root / result.versions[-1].folder / "adapter_model.safetensors")


NewRun = Callable[[str, str], Run]
"""Makes a run of a name and a layout."""


def new_run(
    folder: Path,
    base: Path,
    training: Sequence[Row],
    heldout: Sequence[Row] = (),
    *,
    options: TrainingOptions | None = None,
    method: str = "supervised",
    **chosen: Any,
) -> Run:
    """Return a run of four short epochs, unless said otherwise."""
    values: dict[str, Any] = {
        "n_epochs": 4,
        "batch_size": 4,
        "learning_rate_multiplier": 1.0,
        "learning_rate": 4e-3,
        "lora_rank": 8,
        "lora_alpha": 16,
    }
    plan = Plan(
        job_id=JOB,
        base_model=str(base),
        base_name="nano",
        seed=3,
        hyperparameters=Hyperparameters(**(values | chosen)),
        options=options or TrainingOptions(),
        method=method,
        max_length=128,
        checkpoint_steps=CHECKPOINT_STEPS,
        training_file="file-training",
        training_sha256="0",
        heldout_file="file-heldout" if heldout else None,
        heldout_sha256="0" if heldout else None,
    )
    return Run(folder, plan, training, heldout)


def pairs_of(rows: Sequence[Row]) -> list[Row]:
    """Return rows with a worse answer each."""
    return [
        Row(
            line=row.line,
            messages=[
                {"role": "user", "content": row.prompt},
                {"role": "assistant", "content": row.completion},
            ],
            rejected=[{"role": "assistant", "content": "No idea."}],
        )
        for row in rows
    ]


def mixed_rows(count: int, *, first: int = 1) -> list[Row]:
    """Return rows whose lengths differ much."""
    return [
        Row(
            line=number,
            prompt=f"Say {number}: " + "on and on " * (number * 7 % 11),
            completion=json.dumps({"said": number}),
        )
        for number in range(first, first + count)
    ]
