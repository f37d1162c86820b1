"""A job's rows before training."""

import json

import pytest

from registry.chatdata import rows_of
from registry.errors import TrainingFailed
from registry.inspection.findings import name_lines
from tests.unit.trainer.rows import chat, chats
from trainer.validation import (
    divide,
    read_training_rows,
    read_validation_rows,
)


def lines(count: int) -> list[bytes]:
    """Return lines of a good file."""
    return [
        json.dumps({"prompt": f"question {number}", "completion": "yes"}).encode()
        for number in range(count)
    ]


def test_nine_rows_are_too_few() -> None:
    """A training file of nine rows fails, and the message says how many are needed."""
    with pytest.raises(TrainingFailed, match="9 rows and must have at least 10") as caught:
        read_training_rows(rows_of(lines(9)))
    assert (caught.value.code, caught.value.param) == ("invalid_training_file", "training_file")


def test_ten_rows_are_enough() -> None:
    """A training file of ten rows is read."""
    assert len(read_training_rows(rows_of(lines(10)))) == 10


def test_faulty_line_is_named() -> None:
    """A faulty line fails the job and is named."""
    with pytest.raises(TrainingFailed, match="line 2") as caught:
        read_training_rows(rows_of([*lines(1), b"{", *lines(20)]))
    assert caught.value.code == "invalid_training_file"


def test_faulty_validation_file_has_its_own_code() -> None:
    """A faulty validation file is told apart from a faulty training file."""
    with pytest.raises(TrainingFailed) as caught:
        read_validation_rows(rows_of([b"[]"]))
    assert caught.value.code == "invalid_validation_file"


def test_empty_validation_file_fails() -> None:
    """A validation file without rows fails the job."""
    with pytest.raises(TrainingFailed, match="has no rows"):
        read_validation_rows([])


def test_leaked_rows_are_not_trained_on() -> None:
    """A row of both files stays held out, and its line in the training file is named."""
    rows = chats(20)
    division = divide(rows, [chat(1, "question 3"), chat(2, "new")])
    assert [row.line for row in division.training] == [n for n in range(1, 21) if n != 3]
    assert division.excluded
    [notice] = division.notices
    assert notice.level == "warn"
    assert "line 3 of the training file" in notice.message


def test_too_few_rows_after_leakage_fail() -> None:
    """A training file that is mostly held out fails the job."""
    with pytest.raises(TrainingFailed, match="Only 5 training rows remain"):
        divide(chats(15), chats(10))


def test_duplicates_are_reported_with_lines() -> None:
    """Repeated rows are trained on, and their lines are named."""
    rows = [*chats(12), chat(13, "question 1"), chat(14, "question 2")]
    division = divide(rows, [chat(1, "new")])
    assert len(division.training) == 14
    assert "lines 13, 14" in division.notices[0].message


def test_a_tenth_is_held_out_without_validation_file() -> None:
    """Without a validation file about a tenth of the rows is held out, and an event says so."""
    division = divide(chats(200), None)
    assert (len(division.training), len(division.heldout)) == (180, 20)
    assert division.excluded
    assert "20 of 200 rows are held out" in division.notices[-1].message


def test_at_least_five_rows_are_held_out() -> None:
    """Even of ten rows five are held out."""
    assert len(divide(chats(10), None).heldout) == 5


def test_at_most_five_hundred_rows_are_held_out() -> None:
    """Of a large file not more than five hundred rows are held out."""
    assert len(divide(chats(6000), None).heldout) == 500


def test_split_does_not_depend_on_the_order() -> None:
    """The same rows in another order are split alike."""
    rows = chats(50)
    first, second = divide(rows, None), divide(rows[::-1], None)
    assert {row.digest for row in first.heldout} == {row.digest for row in second.heldout}


def test_no_prompt_stands_on_both_sides() -> None:
    """Rows with the same prompt are held out together or not at all."""
    rows = [chat(n, f"question {n % 30}", f"answer {n}") for n in range(1, 91)]
    division = divide(rows, None)
    trained = {row.prompt_digest for row in division.training}
    assert not trained & {row.prompt_digest for row in division.heldout}


def test_one_prompt_alone_cannot_be_split() -> None:
    """Rows that all have one prompt are all trained on, with a warning."""
    rows = [chat(n, "always the same", f"answer {n}") for n in range(1, 21)]
    division = divide(rows, None)
    assert (len(division.training), division.heldout) == (20, [])
    assert division.notices[-1].level == "warn"


def test_many_lines_are_named_in_part() -> None:
    """A message names twenty lines and counts the others."""
    assert name_lines([4]) == "line 4"
    assert name_lines(range(1, 26)).endswith("19, 20 and 5 more")
