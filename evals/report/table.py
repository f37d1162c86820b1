"""The report as CSV: a line for each row and arm.

It refuses to know which metrics there are: each has a column. A text that a spreadsheet would take
for a formula gets an apostrophe before it; the JSON of `/rows` has it as it came.
"""

import csv
import io
import re

from evals.report.facts import Facts
from evals.results import prompt_text

_FORMULA = re.compile(r"^[=+\-@\t\r]")
_NUMBER = re.compile(r"^[-+]?\d+(\.\d+)?$")
_COLUMNS = ("suite", "row", "cluster", "segment", "arm", "prompt", "target", "output", "error")


def as_csv(facts: Facts) -> bytes:
    """Return every answer, by suite, row and arm, with every score."""
    metrics = sorted({metric for answer in facts.answers for metric in answer.scores})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *metrics])
    for answer in facts.answers:
        row = facts.rows.get(answer.suite, {}).get(answer.row)
        target = facts.targets.get(answer.suite, {}).get(answer.row, "")
        texts = (
            answer.suite,
            str(answer.row),
            "" if row is None else row.cluster or "",
            "" if row is None else row.segment or "",
            answer.arm,
            "" if row is None else prompt_text(row),
            target,
            answer.output or "",
            answer.error or "",
        )
        scores = [answer.scores.get(metric, "") for metric in metrics]
        writer.writerow([*map(_harmless, texts), *scores])
    return text.getvalue().encode()


def _harmless(text: str) -> str:
    is_formula = _FORMULA.match(text) and not _NUMBER.match(text)
    return f"'{text}" if is_formula else text
