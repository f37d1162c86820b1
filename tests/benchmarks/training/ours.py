"""Graftline's own training of a plan: `python -m tests.benchmarks.training.ours <job folder>`.

It refuses to know the other trainer; it writes a line of JSON for each report of progress.
"""

import json
import sys
import time
from pathlib import Path

from trainer.finetune import train
from trainer.protocol import Message, Progress, decode_plan
from trainer.stopping import Stopping
from trainer.workplace import Workplace


def main(folder: Path) -> None:
    """Train as the training child does."""
    place = Workplace(folder)
    train(decode_plan(place.plan.read_bytes()), place, _report, Stopping())


def _report(message: Message) -> None:
    """Write a step, its time and the tokens until then."""
    if isinstance(message, Progress):
        seen = {"step": message.step, "at": time.monotonic(), "tokens": message.tokens}
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
