"""Metrics as `evaluate` modules, and batches of answers as scores."""

import pytest

from evals.scorers.exact_match import ExactMatch
from evals.scorers.json_valid import JsonValid
from evals.scorers.loss import Loss
from evals.scoring import Answer, metric_kinds, score


def _answer(
    output: str | None = "", target: str = "", logprobs: list[float] | None = None
) -> Answer:
    return Answer(arm="base", number=0, target=target, output=output, logprobs=logprobs, error=None)


@pytest.mark.parametrize(
    ("answer", "target", "expected"),
    [
        (" yes\n", "yes", 1),
        ("Yes", "yes", 0),
        ('{"b": 1, "a": [1, 2]}', '{"a":[1,2],"b":1}', 1),
        ('{"a": 1.0}', '{"a": 1}', 1),
        ('{"a": 1.5}', '{"a": 1}', 0),
        ('{"a": true}', '{"a": 1}', 0),
        ('{"a": [2, 1]}', '{"a": [1, 2]}', 0),
        ('{"a": 1', '{"a": 1}', 0),
        ("[" * 100_000, '{"a": 1}', 0),
        ('{"a": NaN}', '{"a": null}', 0),
        ("1.0", "1", 0),
    ],
)
def test_exact_match(answer: str, target: str, expected: float) -> None:
    """JSON objects and arrays are compared as values, all else as stripped text."""
    found = ExactMatch(keep_in_memory=True).compute(predictions=[answer], references=[target])
    assert found == {"exact_match": expected, "scores": [expected]}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [('{"a": 1}', 1), ("[]", 1), ('{"a": NaN}', 0), ('```json\n{"a": 1}\n```', 0), ("", 0)],
)
def test_json_valid(answer: str, expected: float) -> None:
    """Only an answer that is JSON as a whole is valid."""
    found = JsonValid(keep_in_memory=True).compute(predictions=[answer])
    assert found == {"json_valid": expected, "scores": [expected]}


def test_loss_is_the_mean_of_row_means() -> None:
    """A long row counts as one row."""
    found = Loss(keep_in_memory=True).compute(predictions=[[-1.0, -3.0], [-4.0]])
    assert found == {"loss": 3.0, "scores": [2.0, 4.0]}


def test_scores_of_a_batch() -> None:
    """Each answer gets the metrics that apply to its target."""
    found = score(
        [
            _answer("{}", '{"a": 1}', [-1.0]),
            _answer("yes", "yes", None),
            _answer("no", "yes", [-2.0]),
        ]
    )
    named = ("exact_match", "json_valid", "loss")
    assert [{name: row[name] for name in named if name in row} for row in found] == [
        {"exact_match": 0, "json_valid": 1, "loss": 1},
        {"exact_match": 1},
        {"exact_match": 0, "loss": 2},
    ]


def test_unscored_is_absent() -> None:
    """What could not be computed has no score, not 0."""
    assert score([_answer(None, "yes", None)]) == [{}]


def test_json_metrics_need_json_targets() -> None:
    """JSON validity is not asked where no target is a JSON object or array."""
    asked = {"json_valid", "field_f1", "field_precision", "field_recall"}
    assert asked & set(metric_kinds(["yes", "12"])) == set()
    assert asked <= set(metric_kinds(["{}"]))


def test_mixed_targets_are_stated() -> None:
    """The kind of comparison is stated with the rows it covers."""
    kinds = metric_kinds(["yes", "{}"])
    assert kinds["json_valid"].rows == 1
    assert kinds["exact_match"].comparison.startswith("1 rows as JSON values")
