"""What the exams tell Prometheus."""

from typing import Any

import msgspec
from prometheus_client import generate_latest

from evals.metrics import MAX_ADAPTERS, MAX_SUITES, Metrics
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
    "suites": {
        "training": {
            "arms": {"base": {"n": 50, "unscored": 0, "metrics": {"loss": {"mean": 1.5}}}},
            "differences": [
                {"baseline": "base", "metric": "loss", "estimate": -1.0, "low": -1.2, "high": -0.8}
            ],
        }
    },
    "findings": {
        "gaps": [
            {
                "metric": "loss",
                "adapter": {"mean": 0.3, "low": 0.1, "high": 0.5},
                "beyond_base": {"mean": 0.2, "low": None, "high": None},
            }
        ],
        "behaviour": {"broken": {"mean": 0.1, "low": 0.05, "high": 0.2}},
    },
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
    assert (
        _value(_shown(), "score", adapter="ft:a", suite="heldout", arm="base", metric="exact_match")
        == 0.25
    )


def test_unknown_is_absent() -> None:
    """A metric without a score is not exported as 0."""
    assert (
        _value(_shown(), "score", adapter="ft:a", suite="heldout", arm="adapter", metric="loss")
        is None
    )


def test_differences_have_bounds() -> None:
    """A difference is exported with both bounds."""
    labels = {"adapter": "ft:a", "suite": "heldout", "baseline": "base", "metric": "exact_match"}
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
    assert _value(_shown(), "rows", adapter="ft:a", suite="heldout", arm="base") == 39


def test_every_suite_is_shown() -> None:
    """Scores, differences and rows of further suites stand beside the held-out rows'."""
    shown = _shown()
    labels = {"adapter": "ft:a", "suite": "training"}
    assert _value(shown, "score", **labels, arm="base", metric="loss") == 1.5
    assert _value(shown, "rows", **labels, arm="base") == 50
    gap = {**labels, "baseline": "base", "metric": "loss"}
    assert _value(shown, "difference", **gap, bound="high") == -0.8


def test_suites_are_bounded() -> None:
    """Of very many suites of the user's own only the first ones are shown."""
    training = RESULTS["suites"]["training"]
    suites = {f"own:{number:02}": training for number in range(MAX_SUITES + 5)}
    many = msgspec.structs.replace(EVALUATION, results=RESULTS | {"suites": suites})
    metrics = Metrics()
    metrics.show_results([many])
    text = generate_latest(metrics.registry).decode()
    assert f'suite="own:{MAX_SUITES - 1:02}"' in text
    assert f'suite="own:{MAX_SUITES:02}"' not in text


def test_gaps_have_bounds() -> None:
    """The adapter's gap and what is beyond its base's; a missing bound is absent."""
    shown, labels = _shown(), {"adapter": "ft:a", "metric": "loss"}
    assert _value(shown, "gap", **labels, of="adapter", bound="low") == 0.1
    assert _value(shown, "gap", **labels, of="beyond_base", bound="estimate") == 0.2
    assert _value(shown, "gap", **labels, of="beyond_base", bound="low") is None


def test_flips_have_bounds() -> None:
    """The share of broken answers is exported with its interval."""
    assert _value(_shown(), "flips", adapter="ft:a", kind="broken", bound="high") == 0.2


def test_retired_adapters_are_dropped() -> None:
    """What is not among the living is not shown any more."""
    metrics = _shown()
    assert metrics.shown == {"ft:a"}
    metrics.show_only({"ft:b"})
    assert "ft:a" not in generate_latest(metrics.registry).decode()


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
