"""Graftline's own training of a plan: `python -m tests.benchmarks.training.ours <job folder>`.

It refuses to know the other trainer; it writes a line of JSON after each step, as the other does.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from trainer import finetune
from trainer.follower import Follower
from trainer.protocol import decode_plan
from trainer.stopping import Stopping
from trainer.workplace import Workplace


class Timed(Follower):
    """The job's own follower, which also tells when each step ended."""

    def on_step_end(self, args: object, state: Any, control: Any, **rest: object) -> None:
        """Write a step and its time."""
        seen = {"step": state.global_step, "at": time.monotonic()}
        seen["tokens"] = self._trainer.tokens_seen
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
        super().on_step_end(args, state, control, **rest)


def main(folder: Path) -> None:
    """Train as the training child does."""
    place = Workplace(folder)
    finetune.Follower = Timed  # type: ignore[misc]  # the only way in that changes no figure
    finetune.train(decode_plan(place.plan.read_bytes()), place, lambda _report: None, Stopping())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
