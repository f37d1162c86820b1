"""The service's metrics."""

from prometheus_client import CollectorRegistry, generate_latest

from service.metrics import ServiceMetrics


def test_every_metric_belongs_to_graftline() -> None:
    """One prefix, so that a dashboard finds them."""
    registry = CollectorRegistry()
    ServiceMetrics(registry)
    assert all(family.name.startswith("graftline_") for family in registry.collect())


def test_two_services_in_one_process_do_not_collide() -> None:
    """Each has a registry of its own."""
    for _ in range(2):
        assert b"graftline_build_info" in generate_latest(
            ServiceMetrics(CollectorRegistry()).registry
        )


def test_a_judgement_is_good_or_bad() -> None:
    """From one half upwards it is good."""
    metrics = ServiceMetrics(CollectorRegistry())
    for score in (0.0, 0.5, 1.0):
        metrics.record_feedback(deployment="support", arm="stable", score=score)
    labels = {"deployment": "support", "arm": "stable"}
    good = metrics.registry.get_sample_value(
        "graftline_feedback_total", labels | {"verdict": "good"}
    )
    total = metrics.registry.get_sample_value("graftline_feedback_score_sum", labels)
    assert (good, total) == (2, 1.5)
