"""Scores and statistics of a large suite, in a process of its own: seconds and peak memory.

It refuses to ask a model: answers are words, some of them changed.
"""

import json
import random
import subprocess
import sys
import time

import msgspec

from evals.bootstrap import RESAMPLES
from evals.results import Material, conclude
from evals.scoring import Answer, kinds_of, scheme_of, score
from registry.chatdata import Row
from registry.memory import peak_kib
from registry.policy import Policy
from registry.records import EvaluationRow, Record

__all__ = ["RESAMPLES", "ROWS", "Cost", "measure"]
ROWS = 10_000
_WORDS = 12
_CHANGED = {"base": 0.3, "adapter": 0.2}
_MB = 1_000_000
_CHILD = f"""
from evals.unneeded import hide_unneeded
hide_unneeded()  # as the evals process does
from {__name__} import print_cost
print_cost()
"""


class Cost(Record, frozen=True, kw_only=True):
    """What it took."""

    seconds: float
    """From stored answers to results, imports excluded."""
    processor_seconds: float
    """Of the processor, which a busy machine does not stretch."""
    imports_mb: float
    """Memory once everything is imported."""
    peak_mb: float
    """Most memory of the process, imports and rows included."""
    metrics: int
    """Metrics that apply."""


def measure() -> Cost:
    """Return what a fresh process needs."""
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Cost)


def print_cost() -> None:
    """Print what this process needs."""
    print(json.dumps(msgspec.to_builtins(_cost())))  # noqa: T201 - the answer to the parent


def _cost() -> Cost:
    rows, targets, answers = _answered()
    began, worked, imports = time.perf_counter(), time.process_time(), _peak_mb()
    scheme = scheme_of(rows, targets, by_row=False)
    scored = score(answers, {"heldout": scheme})
    kinds = kinds_of(scheme)
    stored = [
        EvaluationRow(
            evaluation_id="eval-1",
            arm=answer.arm,
            row=answer.number,
            output=answer.output,
            scores=scores,
        )
        for answer, scores in zip(answers, scored, strict=True)
    ]
    conclude(
        Material(
            policy=Policy(max_rows=ROWS),
            kinds=kinds,
            arms=list(_CHANGED),
            rows=rows,
            targets=targets,
            answers=stored,
            notes=[],
        )
    )
    return Cost(
        seconds=time.perf_counter() - began,
        processor_seconds=time.process_time() - worked,
        imports_mb=imports,
        peak_mb=_peak_mb(),
        metrics=len(kinds),
    )


def _peak_mb() -> float:
    return peak_kib() * 1024 / _MB


def _answered() -> tuple[dict[int, Row], dict[int, str], list[Answer]]:
    draw = random.Random(7)  # noqa: S311 - no secret
    words = [f"word{number}" for number in range(400)]
    targets = {row: " ".join(draw.choices(words, k=_WORDS)) for row in range(ROWS)}
    rows = {
        row: Row(line=row + 1, prompt=f"question {row}", completion=target)
        for row, target in targets.items()
    }
    answers = [
        Answer(
            arm=arm,
            number=row,
            target=target,
            output=" ".join(
                draw.choice(words) if draw.random() < changed else word for word in target.split()
            ),
            logprobs=[-draw.random() for _ in range(_WORDS)],
            error=None,
        )
        for arm, changed in _CHANGED.items()
        for row, target in targets.items()
    ]
    return rows, targets, answers
