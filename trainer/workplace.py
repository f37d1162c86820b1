"""Where a job in progress keeps its files.

It refuses to know what is in them.

    work/<job id>/plan.json             what to train, resolved
                  training.jsonl        the rows to train on
                  validation.jsonl      the rows held out; absent when there are none
                  child.lock            held by the training child while it lives
                  checkpoints/          points to resume from
                  epochs/step-<N>/      the adapter after each of the last epochs
                  best/                 the trained weights of the best epoch so far
                  final/                the adapter at the end
                  footprint.json        how much goes through the model at a time
                  spent.json            seconds that children of this job have run
                  parent/               the adapter whose training goes on, if there is one
                  plain/                adapters converted to plain LoRA
                  full/                 the full checkpoint, when every weight trained
                  outcome.json          written last by the child: a result or a failure
                  staged/               copies on their way to the artifact store
"""

import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Workplace:
    """The folder of one job."""

    root: Path
    """`work/<job id>`."""

    @property
    def plan(self) -> Path:
        """The training plan."""
        return self.root / "plan.json"

    @property
    def training(self) -> Path:
        """The rows to train on."""
        return self.root / "training.jsonl"

    @property
    def validation(self) -> Path:
        """The rows held out."""
        return self.root / "validation.jsonl"

    @property
    def child_lock(self) -> Path:
        """Held by the training child, so that two never write here at once."""
        return self.root / "child.lock"

    @property
    def checkpoints(self) -> Path:
        """Points to resume from."""
        return self.root / "checkpoints"

    @property
    def epochs(self) -> Path:
        """The adapter after each of the last epochs."""
        return self.root / "epochs"

    @property
    def best(self) -> Path:
        """The trained weights of the best epoch so far."""
        return self.root / "best"

    @property
    def final(self) -> Path:
        """The adapter at the end."""
        return self.root / "final"

    @property
    def footprint(self) -> Path:
        """How much goes through the model at a time; chosen once, lowered when memory ran out."""
        return self.root / "footprint.json"

    @property
    def spent(self) -> Path:
        """Seconds that the job's children have run so far."""
        return self.root / "spent.json"

    @property
    def outcome(self) -> Path:
        """What the child says about its end."""
        return self.root / "outcome.json"

    @property
    def parent(self) -> Path:
        """The adapter whose training goes on; absent when there is none."""
        return self.root / "parent"

    @property
    def plain(self) -> Path:
        """Adapters that were converted to plain LoRA."""
        return self.root / "plain"

    @property
    def full(self) -> Path:
        """The full checkpoint, when every weight trained."""
        return self.root / "full"

    @property
    def staged(self) -> Path:
        """Copies on their way to the artifact store."""
        return self.root / "staged"

    def remove(self) -> None:
        """Delete everything; a folder that is gone already is no error."""
        shutil.rmtree(self.root, ignore_errors=True)
