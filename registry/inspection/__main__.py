"""The child that looks at files: `python -m registry.inspection`, a request on each line, as JSON.

It refuses to know the store and every secret; it writes a line for each answer, and ends when its
input ends, when the time of a request is over, or when it has grown large. A process of its own,
because tokens and signatures of many rows would hold up whoever answers requests.
"""

import os
import signal
import sys
from functools import cache
from pathlib import Path

import msgspec
from jinja2 import TemplateError

from registry.chatdata import Row
from registry.errors import InvalidData, Unavailable
from registry.formats.reading import read_rows, recognise
from registry.inspection.examine import examine
from registry.inspection.records import Report
from registry.inspection.request import Answer, Refused, Request
from registry.inspection.rowview import view_row
from registry.inspection.tokenizing import load_tokenizer
from registry.memory import peak_kib
from registry.rendering import BatchTokenizer
from registry.unneeded import hide

_POLITENESS = 10
_LARGE_KIB = 400 * 1024


def main() -> None:
    """Answer the requests on standard input."""
    hide("torch")  # tokenizers do without: it costs 330 MB and most of the time
    os.nice(_POLITENESS)  # requests are answered beside it
    channel = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    with os.fdopen(channel, "wb") as stream:
        for line in sys.stdin.buffer:
            request = msgspec.json.decode(line, type=Request)
            signal.alarm(request.seconds)
            reply = msgspec.json.encode(answer(request))
            signal.alarm(0)
            stream.write(reply + b"\n")
            stream.flush()
            if peak_kib() > _LARGE_KIB:
                return


def answer(request: Request) -> Answer | Refused:
    """Return what is found, or why nothing is."""
    try:
        if request.line is not None:
            return _row(request, request.line)
        return Answer(report=report_on(request))
    except InvalidData as exc:
        return Refused(kind="invalid", message=str(exc))
    except Unavailable as exc:
        return Refused(kind="unavailable", message=str(exc))


def report_on(request: Request) -> Report:
    """Return the report on a file; without a tokenizer it says why lengths are unknown.

    Raises:
        InvalidData: Rows are at fault.
    """
    path = Path(request.path)
    known = None if request.validation_path is None else Path(request.validation_path)
    tokenizer: BatchTokenizer | None = None
    absent = None
    try:
        tokenizer = _tokenizer(request.base_model)
    except Unavailable as exc:
        absent = str(exc)
    report = examine(
        read_rows(path, request.name),
        validation=None if known is None else read_rows(known),
        tokenizer=tokenizer,
        max_length=request.max_length,
    )
    return msgspec.structs.replace(
        report,
        file=request.name or path.name,
        validation_file=None if known is None else known.name,
        format=str(recognise(path, request.name)),
        tokens_absent=absent,
    )


@cache
def _tokenizer(base_model: str) -> BatchTokenizer:
    return load_tokenizer(base_model)


def _row(request: Request, line: int) -> Answer | Refused:
    row = _find(Path(request.path), line)
    if row is None:
        return Refused(kind="absent", message=f"line {line}")
    try:
        tokenizer = _tokenizer(request.base_model)
        return Answer(row=view_row(tokenizer, row, max_length=request.max_length))
    except (TemplateError, ValueError, TypeError) as exc:
        message = f"line {line}: The base model's chat template refuses the row ({exc})."
        return Refused(kind="invalid", message=message)


def _find(path: Path, line: int) -> Row | None:
    for row in read_rows(path):
        if row.line >= line:
            return row if row.line == line else None
    return None


if __name__ == "__main__":
    main()
