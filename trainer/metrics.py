"""What Prometheus reads from the trainer.

It refuses to know how the figures come about.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from registry.lifecycle import JobStatus

_SECONDS = (5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800, 86400)
_OUTCOMES = ("succeeded", "failed", "cancelled")


class TrainerMetrics:
    """The trainer's metrics. Labels are bounded: job states and outcomes only, never names."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.jobs = Gauge(
            "graftline_jobs",
            "Fine-tuning jobs in the store, by status; all projects, finished ones included.",
            ["status"],
            registry=registry,
        )
        self.tokens = Counter(
            "graftline_training_tokens",
            "Tokens trained on, padding excluded; steps that a resumed run repeats count again.",
            registry=registry,
        )
        self.loss = Gauge(
            "graftline_training_loss",
            "Training loss last reported, in nats per token; evaluation is excluded.",
            registry=registry,
        )
        self.tokens_per_second = Gauge(
            "graftline_training_tokens_per_second",
            "Speed last reported, loading of the model excluded; 0 when nothing trains.",
            registry=registry,
        )
        self.seconds = Histogram(
            "graftline_training_seconds",
            "Time of the training child, start and loading included, waiting excluded.",
            ["outcome"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.child_deaths = Counter(
            "graftline_training_child_deaths",
            "Training children that died by themselves; those the trainer stopped are excluded.",
            registry=registry,
        )
        self.active = Gauge(
            "graftline_training_active", "Training children that run now.", registry=registry
        )
        for outcome in _OUTCOMES:
            self.seconds.labels(outcome)

    def show_jobs(self, counts: Mapping[JobStatus, int]) -> None:
        """Show how many jobs are in each state."""
        for status, count in counts.items():
            self.jobs.labels(status.value).set(count)
