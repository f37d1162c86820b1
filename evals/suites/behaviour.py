"""The behaviour suite: short tasks that have nothing to do with any fine-tuning.

It refuses to know how well a model should do: an adapter is compared with its base.
"""

from hashlib import sha256
from pathlib import Path

from evals.order import Numbered, numbered
from registry.chatdata import rows_of

_FILE = Path(__file__).with_name("behaviour.jsonl")


def read_behaviour() -> list[Numbered]:
    """Return every row, in the order of the file."""
    return list(numbered(rows_of(_FILE.read_bytes().splitlines(keepends=True))))


def behaviour_sha256() -> str:
    """Return the hash of the suite's file."""
    return sha256(_FILE.read_bytes()).hexdigest()
