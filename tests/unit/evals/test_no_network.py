"""Nothing of the exams looks up a name, and who did would fail."""

import socket

import pytest

from evals.metric_table import TEXT_METRICS
from evals.own_metrics import load_metrics
from evals.scorers.calibration import Calibration
from evals.scorers.classification import Classification
from evals.scorers.loss import Loss
from evals.scorers.perplexity import Perplexity
from tests.unit.evals.conftest import NameLookup


def test_a_name_lookup_is_an_error(no_names: list[str]) -> None:
    """The tests of this folder fail when a name is looked up, even if the error is caught."""
    with pytest.raises(NameLookup, match="looked up"):
        socket.getaddrinfo("models.invalid", 443)
    assert no_names == ["models.invalid"]
    no_names.clear()


@pytest.mark.parametrize("metric", TEXT_METRICS, ids=lambda metric: metric.key)
def test_a_text_metric_stands_alone(metric: object) -> None:
    """Every metric scores a row without a network."""
    targets = {"json_schema": '{"type": "object"}', "regex": "a"}
    key = metric.key  # type: ignore[attr-defined] # the table's own class
    assert metric.row('{"a": 1}', targets.get(key, '{"a": 1}')) is not None  # type: ignore[attr-defined]


def test_modules_of_figures_stand_alone() -> None:
    """Loss, perplexity, classification and calibration compute as `evaluate` modules."""
    assert Loss(keep_in_memory=True).compute(predictions=[[-1.0]])["loss"] == 1
    assert Perplexity(keep_in_memory=True).compute(predictions=[[0.0]])["perplexity"] == 1
    found = Classification(keep_in_memory=True).compute(predictions=["a"], references=["A"])
    assert (found["accuracy"], found["macro_f1"]) == (1, 1)
    sure = Calibration(keep_in_memory=True).compute(predictions=[1.0], references=[1.0])
    assert (sure["ece"], sure["brier"]) == (0, 0)


def test_without_packages_of_the_user_the_metrics_are_ours() -> None:
    """No metric is loaded by name."""
    assert load_metrics() == TEXT_METRICS
