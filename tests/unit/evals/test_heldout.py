"""The exam on held-out rows."""

import json

import pytest

from evals.suites.heldout import read_exam
from registry.chatdata import rows_of
from registry.errors import Invalid, InvalidData

LINES = [json.dumps({"prompt": f"p{n}", "completion": "c"}).encode() for n in range(50)]


def _numbers(max_rows: int, seed: int = 0) -> list[int]:
    return [entry.number for entry in read_exam(rows_of(LINES), max_rows=max_rows, seed=seed).rows]


def test_more_rows_only_add() -> None:
    """A larger limit asks the same rows first."""
    assert _numbers(50)[:20] == _numbers(20)


def test_seeds_differ() -> None:
    """Another seed gives another order of the same rows."""
    assert _numbers(50, 1) != _numbers(50, 2)
    assert sorted(_numbers(50, 1)) == list(range(50))


def test_every_prompt_is_known() -> None:
    """Prompts that are not asked count as held out too."""
    assert len(read_exam(rows_of(LINES), max_rows=3, seed=0).prompt_digests) == 50


def test_no_rows() -> None:
    """An empty file is no exam."""
    with pytest.raises(Invalid, match="no rows"):
        read_exam(rows_of([b"\n"]), max_rows=3, seed=0)


def test_faulty_rows_are_named() -> None:
    """A faulty line is named."""
    with pytest.raises(InvalidData, match="line 51"):
        read_exam(rows_of([*LINES, b"{"]), max_rows=3, seed=0)
