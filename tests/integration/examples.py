"""The example rows, and how a test uploads them.

It refuses to know what is done with them.
"""

import json
from pathlib import Path
from typing import Any

from openai import OpenAI

TRIAGE = Path(__file__).parents[2] / "examples" / "triage"


def rows_of(name: str) -> list[dict[str, Any]]:
    """Return the rows of one of the example files."""
    text = (TRIAGE / name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def upload(client: OpenAI, rows: list[dict[str, Any]]) -> str:
    """Upload rows and return the file's id."""
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return client.files.create(file=("rows.jsonl", content), purpose="fine-tune").id
