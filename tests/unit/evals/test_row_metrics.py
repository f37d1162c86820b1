"""Each metric of a row, by examples whose value is known."""

import math
import random
from typing import Any

import pytest
from rouge_score.rouge_scorer import RougeScorer

from evals.metric_table import TEXT_METRICS
from evals.scorers.calibration import calibration_error, reliability
from evals.scorers.classification import by_class
from evals.scorers.perplexity import Perplexity
from evals.scorers.rouge_l import RougeL

BY_KEY = {metric.key: metric for metric in TEXT_METRICS}
SCHEMA = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("metric", "answer", "target", "expected"),
    [
        ("normalised_match", "  The Cat! ", "the cat", 1),
        ("normalised_match", "the cats", "the cat", 0),
        ("normalised_match", "!", "?", 0),
        ("normalised_match", "ﬁne", "fine", 1),
        ("contains", "It is Paris, of course", "paris", 1),
        ("contains", "It is Rome", "paris", 0),
        ("regex", "2021-03-05", r"^\d{4}-\d{2}-\d{2}$", 1),
        ("regex", "5 March", r"^\d+$", 0),
        ("numeric", "so it is 1,250.0", "1250", 1),
        ("numeric", "first 3, then 7", "7", 1),
        ("numeric", "7.1", "7", 0),
        ("numeric", "no idea", "7", 0),
        ("numeric", "7", "no number", None),
        ("field_f1", '{"a": 1, "b": [2, 3]}', '{"b": [3, 2], "a": 1}', 1),
        ("field_f1", '{"a": 1, "b": 9}', '{"a": 1, "b": 2}', 0.5),
        ("field_precision", '{"a": 1}', '{"a": 1, "b": 2}', 1),
        ("field_recall", '{"a": 1}', '{"a": 1, "b": 2}', 0.5),
        ("field_recall", "no", '{"a": 1}', 0),
        ("field_f1", "{}", "{}", 1),
        ("field_precision", "{}", '{"a": 1}', 0),
        ("field_f1", '{"a": 1}', "plain", None),
        ("edit_distance", "kitten", "sitting", 3 / 7),
        ("edit_distance", "", "", 0),
        ("rouge_l", "the cat sat", "the cat", 0.8),
        ("chrf", "same", "same", 1),
        ("sentence_bleu", "the cat sat on the mat", "the cat sat on the mat", 1),
        ("sentence_bleu", "", "the cat", 0),
        ("length", "abc", "abc", 0),
        ("length", "a" * 7, "abc", math.log(2)),
        ("repetition", "a b c d a b c d a b c d", "", 1 - 4 / 9),
        ("repetition", "short", "", 0),
        ("refusal", "I'm sorry, but that is not for me.", "", 1),
        ("refusal", "I can\u2019t do this.", "", 1),
        ("refusal", "The cannon fired.", "", 0),
        ("json_schema", '{"a": 1}', '{"type": "object"}', 1),
        ("json_schema", "no", '{"type": "object"}', 0),
        ("json_schema", "{}", "no schema", None),
    ],
)
def test_known_values(metric: str, answer: str, target: str, expected: float | None) -> None:
    """An answer and a target give the score that follows from the metric's definition."""
    assert BY_KEY[metric].row(answer, target) == (
        None if expected is None else pytest.approx(expected)
    )


@pytest.mark.parametrize(
    ("metric", "answer", "target", "options", "expected"),
    [
        ("numeric", "10.4", "10", {"tolerance": 0.05}, 1),
        ("contains", "paris", "Paris", {"case_sensitive": True}, 0),
        ("regex", "yes", "ignored", {"pattern": "^y"}, 1),
        ("regex", "a" * 60 + "!", "", {"pattern": "^(a|aa)+$"}, None),
        ("json_schema", '{"a": "x"}', "", {"schema": SCHEMA}, 0),
        ("json_schema", "{}", "", {"schema": {"$ref": "https://schemas.invalid/x"}}, None),
    ],
)
def test_options(
    metric: str, answer: str, target: str, options: dict[str, Any], expected: float | None
) -> None:
    """An option changes the score; what takes too long, or lies elsewhere, leaves none."""
    assert BY_KEY[metric].row(answer, target, **options) == expected


def test_rouge_l_is_what_its_authors_library_gives() -> None:
    """Random words, few and many, score to the last bit as by `rouge_score`."""
    draw = random.Random(7)  # noqa: S311 - no secret
    scorer = RougeScorer(["rougeL"])
    texts = [" ".join(draw.choices("abcdef", k=draw.randrange(20))) for _ in range(300)]
    pairs = list(zip(texts, reversed(texts), strict=True))
    expected = [scorer.score(target, answer)["rougeL"].fmeasure for answer, target in pairs]
    assert [RougeL.row(answer, target) for answer, target in pairs] == expected


def test_words_of_every_script_count() -> None:
    """ROUGE-L sees Cyrillic words, which `rouge_score` drops."""
    assert RougeL.row("кот сидит", "кот сидит") == 1


def test_an_evaluate_module_returns_mean_and_rows() -> None:
    """A metric of rows is an `evaluate` module: a mean, and each row's score."""
    found = RougeL(keep_in_memory=True).compute(predictions=["a", "b"], references=["a", "c"])
    assert found == {"rouge_l": 0.5, "scores": [1.0, 0.0]}


def test_perplexity_is_exp_of_the_mean_loss() -> None:
    """It is not the mean of the rows' perplexities."""
    found = Perplexity(keep_in_memory=True).compute(predictions=[[-1.0, -3.0], [-4.0]])
    assert found["perplexity"] == pytest.approx(math.exp(3))


def test_figures_of_each_class() -> None:
    """Precision, recall and F1 of each label, and none where nothing was said."""
    found = {each.label: each for each in by_class(["a", "a", "x"], ["A", "b", "b"])}
    assert (found["a"].precision, found["a"].recall, found["a"].f1) == (0.5, 1, 2 / 3)
    assert (found["b"].precision, found["b"].recall, found["b"].f1, found["b"].n) == (None, 0, 0, 2)


def test_calibration_of_an_overconfident_model() -> None:
    """Ten rows of confidence 0.9, half of them right, are off by 0.4."""
    right = [1.0, 0.0] * 5
    assert calibration_error([0.9] * 10, right) == pytest.approx(0.4)
    assert [(each.n, each.accuracy) for each in reliability([0.9] * 10, right)] == [(10, 0.5)]
