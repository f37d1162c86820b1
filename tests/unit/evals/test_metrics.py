"""What the exams tell Prometheus."""

from typing import Any

import msgspec
from prometheus_client import generate_latest

from evals.metrics import MAX_ADAPTERS, Metrics
from registry.lifecycle import EvaluationStatus
from registry.records import Evaluation, Verdict

RESULTS: dict[str, Any] = {
    "arms": {
        "base": {"n": 40, "unscored": 1, "metrics": {"exact_match": {"mean": 0.25}}},
        "adapter": {"n": 40, "unscored": 0, "metrics": {"loss": {"mean": None}}},
    },
    "differences": [
        {"baseline": "base", "metric": "exact_match", "estimate": 0.5, "low": 0.4, "high": 0.6}
    ],
}
EVALUATION = Evaluation(
    id="eval-1",
    project="default",
    adapter="ft:a",
    heldout_file="file-1",
    training_file=None,
    policy={},
    status=EvaluationStatus.SUCCEEDED,
    created_at=1,
    finished_at=1_700_000_000,
    verdict=Verdict.NO_GO,
    results=RESULTS,
)


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"graftline_evaluation_{name}", labels)


def _shown() -> Metrics:
    metrics = Metrics()
    metrics.show_results([EVALUATION])
    return metrics


def test_scores() -> None:
    """Each arm's mean is exported."""
    assert _value(_shown(), "score", adapter="ft:a", arm="base", metric="exact_match") == 0.25


def test_unknown_is_absent() -> None:
    """A metric without a score is not exported as 0."""
    assert _value(_shown(), "score", adapter="ft:a", arm="adapter", metric="loss") is None


def test_differences_have_bounds() -> None:
    """A difference is exported with both bounds."""
    labels = {"adapter": "ft:a", "baseline": "base", "metric": "exact_match"}
    shown = _shown()
    assert [
        _value(shown, "difference", **labels, bound=b) for b in ("estimate", "low", "high")
    ] == [
        0.5,
        0.4,
        0.6,
    ]


def test_rows_are_those_answered() -> None:
    """Unscored rows are not counted."""
    assert _value(_shown(), "rows", adapter="ft:a", arm="base") == 39


def test_one_verdict_holds() -> None:
    """The verdict that holds is 1, the others are 0."""
    shown = _shown()
    found = {v: _value(shown, "verdict", adapter="ft:a", verdict=v) for v in Verdict}
    assert found == {Verdict.GO: 0, Verdict.NO_GO: 1, Verdict.INCONCLUSIVE: 0}


def test_time_of_the_result() -> None:
    """When the evaluation finished is exported."""
    assert _value(_shown(), "finished_timestamp_seconds", adapter="ft:a") == 1_700_000_000


def test_counts_by_status() -> None:
    """Every status is exported, also one that no evaluation has."""
    metrics = Metrics()
    metrics.show_counts({EvaluationStatus.QUEUED: 2})
    value = metrics.registry.get_sample_value
    assert value("graftline_evaluations", {"status": "queued"}) == 2
    assert value("graftline_evaluations", {"status": "failed"}) == 0


def test_requests_are_counted() -> None:
    """Requests are counted by outcome."""
    metrics = Metrics()
    metrics.count("retried")
    assert _value(metrics, "requests_total", outcome="retried") == 1


def test_adapters_are_bounded() -> None:
    """Only the adapters evaluated last are shown."""
    many = [
        msgspec.structs.replace(EVALUATION, adapter=f"ft:{n}", finished_at=n)
        for n in range(MAX_ADAPTERS + 5)
    ]
    metrics = Metrics()
    metrics.show_results(reversed(many))
    text = generate_latest(metrics.registry).decode()
    assert text.count("graftline_evaluation_finished_timestamp_seconds{") == MAX_ADAPTERS
    assert 'adapter="ft:104"' in text
    assert 'adapter="ft:4"' not in text
