"""Pure choices: similar texts, shapes of targets, numbers of examples, confidences."""

import math

import pytest

from evals.shapes import RowKind, shape_of
from evals.similarity import Index
from evals.suites.choice import best_count
from evals.wire import read_reply


def test_the_most_similar_text_comes_first() -> None:
    """By shared letters; equals keep their order, and an unlike text comes last."""
    index = Index(["the cat sat", "a dog ran", "the cat sits", "a dog ran"])
    assert index.nearest("the cat sits down")[0] == 2
    assert index.nearest("a dog ran")[:2] == [1, 3]


def test_a_text_without_anything_known_keeps_the_order() -> None:
    """Nothing in common is no error."""
    assert Index(["abc", "def"]).nearest("zzzzzz") == [0, 1]


@pytest.mark.parametrize(
    ("targets", "kind", "json_rows"),
    [
        (["yes", "no"] * 3, RowKind.LABEL, 0),
        (["yes", "no", "maybe"], RowKind.TEXT, 0),
        (["same"] * 9, RowKind.TEXT, 0),
        (["1", "-2.5", "1,000"], RowKind.NUMBER, 0),
        (["x" * 61, "y"] * 6, RowKind.TEXT, 0),
        (["{}", "yes", "no", "yes", "no", "yes", "no"], RowKind.LABEL, 1),
    ],
)
def test_shapes(targets: list[str], kind: RowKind, json_rows: int) -> None:
    """Labels repeat and are short; numbers are numbers; JSON is counted apart."""
    shape = shape_of(targets)
    assert (shape.other, shape.json_rows, shape.rows) == (kind, json_rows, len(targets))


@pytest.mark.parametrize(
    ("scores", "losses", "higher_is_better", "expected"),
    [
        ({0: [0.0], 4: [1.0]}, {}, True, 4),
        ({0: [1.0], 4: [1.0]}, {0: [0.5], 4: [0.2]}, True, 4),
        ({0: [1.0], 4: [1.0]}, {0: [0.5], 4: [0.5]}, True, 0),
        ({0: [1.0], 4: [2.0]}, {}, False, 0),
        ({0: [], 4: []}, {}, True, None),
    ],
)
def test_the_best_number_of_examples(
    scores: dict[int, list[float]],
    losses: dict[int, list[float]],
    *,
    higher_is_better: bool,
    expected: int | None,
) -> None:
    """The best mean; of equals the lowest loss, then the fewest; none without a score."""
    assert best_count(scores, losses, higher_is_better=higher_is_better) == expected


@pytest.mark.parametrize(
    ("sure", "expected"),
    [
        ('{"content": [{"logprob": -0.5}, {"logprob": -0.25}]}', math.exp(-0.75)),
        ('{"token_logprobs": [null, -1.0]}', math.exp(-1)),
        ('{"content": []}', None),
        ("null", None),
    ],
)
def test_confidence_of_an_answer(sure: str, expected: float | None) -> None:
    """The product of its tokens' probabilities; none where they were not given."""
    content = f'{{"choices": [{{"text": "yes", "logprobs": {sure}}}]}}'
    found = read_reply(content.encode())
    assert found.text == "yes"
    assert found.confidence == (None if expected is None else pytest.approx(expected))
