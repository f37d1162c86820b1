"""Which rows of an exam belong together.

It refuses to know what follows from it, and guesses no templates: a guess that is too wide would
make one cluster of a whole exam.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from registry.chatdata import Row


def clusters_of(rows: Mapping[int, Row]) -> dict[int, str]:
    """Return the cluster of each row, by row number.

    A row that names one (`cluster`) belongs there. Of the others,
    conversations of several turns that begin alike belong together, as rows cut from one
    conversation do, and so do rows with the very same prompt.
    """
    return {number: _cluster(row) for number, row in rows.items()}


def _cluster(row: Row) -> str:
    if row.cluster is not None:
        return f"named {row.cluster}"
    if row.messages is None:
        return row.prompt_digest
    before = row.messages[:-1]
    asked = [place for place, message in enumerate(before) if message.get("role") == "user"]
    # The first answer is part of what rows of one conversation share: a greeting alone is not.
    end = asked[0] + 2 if len(asked) > 1 else len(before)
    beginning = [(message.get("role"), message.get("content")) for message in before[:end]]
    return sha256(msgspec.json.encode(beginning, order="sorted")).hexdigest()


def groups_of(rows: Sequence[int], clusters: Mapping[int, str] | None) -> list[str] | None:
    """Return the cluster of each row; none when every row stands for itself."""
    if not clusters:
        return None
    names = [clusters.get(row, f"row {row}") for row in rows]
    return names if len(set(names)) < len(names) else None
