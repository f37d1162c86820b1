"""Rows with faults planted in them, and where they are.

It refuses to know what finds them. Everything is seeded.
"""

import random
from dataclasses import dataclass, field
from typing import Any

from registry.chatdata import Row
from tests.unit.inspection.sentences import row_of, sentence, vocabulary

SOUND = 600
"""Training rows without a fault."""
VALIDATION = 200
"""Validation rows."""


@dataclass
class Planted:
    """Rows, and the lines of what is wrong with them."""

    training: list[Row] = field(default_factory=list)
    """The training rows."""
    validation: list[Row] = field(default_factory=list)
    """The validation rows."""
    leaked: set[int] = field(default_factory=set)
    """Training rows that stand, word by word or nearly, among the validation rows."""
    contradicting: set[int] = field(default_factory=set)
    """Rows that answer an earlier row's prompt otherwise."""
    near: set[int] = field(default_factory=set)
    """Rows that nearly repeat an earlier one."""
    cut: set[int] = field(default_factory=set)
    """Rows whose answer is cut off."""
    secret: set[int] = field(default_factory=set)
    """Rows with a secret."""

    def add(self, row: dict[str, Any]) -> int:
        """Add a training row; return its line."""
        line = len(self.training) + 1
        self.training.append(Row(line=line, messages=row["messages"]))
        return line


SECRETS = (
    "The key is AKIA" + "QX7PLM2ZRTYW4KND",
    "Use ghp_" + "a8Xk2Lm9Qw4Zr7Ty1Bv6Nc3Jd5Hf0Gs2Pe8K" + " for it",
    "password: Tr0ub4dor&3x",
    "-----BEGIN RSA " + "PRIVATE KEY-----",
    "postgres://admin:" + "s3cretpw" + "@db.internal/x",
)
"""One of each kind; none is real."""


def plant(seed: int) -> Planted:
    """Return rows with 30 leaked, 40 contradictions, 25 near-duplicates, 10 cut, 5 secrets."""
    generator = random.Random(seed)  # noqa: S311 - test data
    words = vocabulary(generator, 2_000)
    whole = Planted()
    whole.validation = [
        Row(line=line, messages=row_of(generator, words)["messages"])
        for line in range(1, VALIDATION + 1)
    ]
    for _ in range(SOUND):
        whole.add(row_of(generator, words))
    sound = list(whole.training)
    for index in range(30):
        twin = _copy(whole.validation[index])
        if index % 2:
            twin["messages"][1]["content"] = _reworded(generator, words, _asked(twin), 2)
        whole.leaked.add(whole.add(twin))
    for index in range(40):
        twin = _copy(sound[index])
        twin["messages"][2]["content"] = (
            f"{sentence(generator, words)} {sentence(generator, words)}"
        )
        whole.contradicting.add(whole.add(twin))
    for index in range(40, 65):
        twin = _copy(sound[index])
        twin["messages"][1]["content"] = _reworded(generator, words, _asked(twin), 2)
        whole.near.add(whole.add(twin))
    for _ in range(10):
        row = row_of(generator, words)
        said = row["messages"][2]["content"].split()
        row["messages"][2]["content"] = " ".join(said[: len(said) // 2]).rstrip(".,")
        whole.cut.add(whole.add(row))
    for secret in SECRETS:
        row = row_of(generator, words)
        row["messages"][1]["content"] += f" {secret}."
        whole.secret.add(whole.add(row))
    return whole


def _copy(row: Row) -> dict[str, Any]:
    return {"messages": [dict(message) for message in row.messages or ()]}


def _asked(row: dict[str, Any]) -> str:
    return str(row["messages"][1]["content"])


def _reworded(generator: random.Random, words: list[str], text: str, count: int) -> str:
    """Return a text with some of its words changed."""
    parts = text.split()
    for place in generator.sample(range(1, len(parts) - 1), min(count, len(parts) // 12 or 1)):
        parts[place] = generator.choice(words)
    return " ".join(parts)
