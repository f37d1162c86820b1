"""Metrics of the user's own, by entry point."""

from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from evals import own_metrics
from evals.metric_table import TEXT_METRICS
from evals.scorers.rowwise import RowMetric
from evals.scoring import Answer, metric_kinds, score
from evals.unneeded import GROUP

HERE = "tests.unit.evals.test_own_metrics"


class Politeness(RowMetric):
    """1 where the answer says please."""

    key = "politeness"
    summary = "the answer says please"
    unit = "share"
    binary = True
    needs_reference = True

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Return 1 for please."""
        del target
        return float("please" in answer)


class Broken(RowMetric):
    """Fails on every row."""

    key = "broken"
    summary = "fails"

    @staticmethod
    def row(answer: str, target: str) -> float:
        """Raise."""
        raise RuntimeError(answer + target)


class TooFew(RowMetric):
    """Gives one score, however many rows there are."""

    key = "too_few"
    summary = "gives too few"

    def _compute(
        self, predictions: list[str], references: list[str] | None = None, **options: object
    ) -> dict[str, Any]:
        del references, options
        return {"too_few": 1.0, "scores": [1.0][: len(predictions)]}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that names metrics: good ones, and three that cannot be used."""
    named = {
        "politeness": f"{HERE}:Politeness",
        "broken": f"{HERE}:Broken",
        "too_few": f"{HERE}:TooFew",
        "absent": f"{HERE}:Absent",
        "exact_match": f"{HERE}:Politeness",
    }
    points = EntryPoints(
        EntryPoint(name=name, value=value, group=GROUP) for name, value in named.items()
    )
    monkeypatch.setattr(own_metrics, "entry_points", lambda group: points.select(group=group))


@pytest.mark.usefixtures("installed")
def test_metrics_of_a_package_stand_beside_ours(caplog: pytest.LogCaptureFixture) -> None:
    """Those that can be loaded are there; the others are named in the log."""
    found = own_metrics.load_metrics()
    assert {metric.key for metric in found[len(TEXT_METRICS) :]} == {
        "politeness",
        "broken",
        "too_few",
    }
    assert "absent" in caplog.text
    assert "exact_match" in caplog.text


@pytest.mark.usefixtures("installed")
def test_a_metric_of_the_user_scores_and_a_broken_one_costs_only_itself() -> None:
    """Every other metric of the row is there."""
    answers = [
        Answer(arm="base", number=n, target="x", output=said, logprobs=None, error=None)
        for n, said in enumerate(["yes please", "no"])
    ]
    found = score(answers, metrics=own_metrics.load_metrics())
    assert [row["politeness"] for row in found] == [1, 0]
    assert all("exact_match" in row and "broken" not in row for row in found)
    assert all("too_few" not in row for row in found)


@pytest.mark.usefixtures("installed")
def test_what_a_class_says_of_itself_is_stated() -> None:
    """Its unit, its kind and its summary."""
    kind = metric_kinds(["a", "b"], own_metrics.load_metrics())["politeness"]
    assert (kind.binary, kind.unit, kind.comparison) == (True, "share", "the answer says please")
