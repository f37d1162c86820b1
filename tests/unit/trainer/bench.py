"""A training of a few steps on a random base model, in this process.

It refuses to know what is tested on it.
"""

from pathlib import Path
from typing import Any

import msgspec

from registry.chatdata import Row
from registry.planning.rates import ModelShape
from registry.training_options import read_options
from trainer.finetune import train
from trainer.plan import resolve
from trainer.protocol import Message, Notice, Plan, Result
from trainer.stopping import Stopping
from trainer.workplace import Workplace

ROWS = 16
MAX_RANK = 16
"""As wide as the base model: an extraction loses nothing in its linear layers."""


class Run:
    """A training, and what it left."""

    def __init__(self, base: Path, root: Path) -> None:
        self.base = base
        self.place = Workplace(root)
        self.messages: list[Message] = []
        self.plan: Plan
        self.result: Result

    @property
    def notices(self) -> list[str]:
        """What the training said."""
        return [message.message for message in self.messages if isinstance(message, Notice)]

    @property
    def published(self) -> Path:
        """The folder of the final adapter."""
        return self.place.root / self.result.versions[-1].folder

    def prepare(
        self,
        training: dict[str, Any],
        *,
        method: str = "supervised",
        rows: list[Row] | None = None,
        max_rank: int = MAX_RANK,
        **hyperparameters: Any,
    ) -> None:
        """Write rows and plan."""
        wanted = {"n_epochs": 2, "batch_size": 8, "learning_rate": 1e-2, "lora_rank": 4}
        options = read_options(training)
        self.place.root.mkdir(parents=True)
        some = rows or sums(ROWS)
        self.place.training.write_bytes(msgspec.json.Encoder().encode_lines(some))
        self.place.validation.write_bytes(msgspec.json.Encoder().encode_lines(some[:5]))
        self.plan = Plan(
            job_id="ftjob-" + "ab" * 12,
            base_model=str(self.base),
            base_name="nano",
            seed=7,
            hyperparameters=resolve(
                wanted | hyperparameters,
                rows=len(some),
                model=ModelShape(hidden_size=16, model_type="llama"),
                max_lora_rank=max_rank,
                method=method,
                options=options,
            ),
            options=options,
            method=method,
            max_lora_rank=max_rank,
            max_length=256,
            checkpoint_steps=100,
            training_file="file-1",
            training_sha256="0",
            heldout_file="file-2",
            heldout_sha256="0",
        )

    def train(self) -> None:
        """Train, and gather what is published."""
        result = train(self.plan, self.place, self.messages.append, Stopping())
        assert result is not None
        self.result = result


def sums(count: int) -> list[Row]:
    """Return small sums and their results."""
    return [
        Row(
            line=number,
            messages=[
                {"role": "user", "content": f"What comes after {number}?"},
                {"role": "assistant", "content": f"{number + 1} does."},
            ],
        )
        for number in range(1, count + 1)
    ]


def pairs(count: int) -> list[Row]:
    """Return the sums with a worse answer each."""
    worse = [{"role": "assistant", "content": "No idea."}]
    return [msgspec.structs.replace(row, rejected=worse) for row in sums(count)]
