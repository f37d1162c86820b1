"""Every figure the service exports, under bounded labels.

It refuses to know what happens to cause them. Labels hold only names from our own records: never
what a client sent. No text, no unit and no key is ever in a metric.
"""

from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from service.tally import Tally

_SCORES = (0.0, 0.25, 0.5, 0.75, 1.0)

GOOD_SCORE = 0.5
"""Score from which an answer counts as good."""
UNROUTED = "unrouted"
"""The label `model` of a request that named nothing we know."""


class ServiceMetrics:
    """The service's metrics; make one for each process, with the registry it exports."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.tally = Tally(registry)
        """What inference requests are counted in."""
        self.in_flight = Gauge(
            "graftline_in_flight_requests",
            "Requests that a model is answering or that wait for it to be loaded.",
            ["model"],
            registry=registry,
        )
        self.shadow_copies = Counter(
            "graftline_shadow_copies",
            "Copies of requests for a shadow: `answered`, `failed`, `dropped` for want of room, or "
            "`unready` when the shadow was not loaded. Requests that were not drawn are excluded.",
            ["deployment", "outcome"],
            registry=registry,
        )
        self._declare_load(registry)
        self._declare_told(registry)
        self._declare_replicas(registry)
        self._declare_adapters(registry)
        self._declare_interactions(registry)
        Info("graftline_build", "What is running.", registry=registry).info(
            {"version": _own_version()}
        )

    def _declare_load(self, registry: CollectorRegistry) -> None:
        self.queued = Gauge(
            "graftline_queued_requests",
            "Inference requests that wait because as many as may be are in flight.",
            registry=registry,
        )
        self.admitted = Gauge(
            "graftline_admitted_requests",
            "Inference requests that hold one of the places of GRAFTLINE_MAX_IN_FLIGHT.",
            registry=registry,
        )
        self.tasks = Gauge(
            "graftline_tasks",
            "Tasks of the event loop: background loops, requests, and clients listened for.",
            registry=registry,
        )

    def _declare_told(self, registry: CollectorRegistry) -> None:
        self.event_streams = Gauge(
            "graftline_event_streams",
            "Streams of jobs' events that this process sends.",
            registry=registry,
        )
        self.webhook_attempts = Counter(
            "graftline_webhook_attempts",
            "Tries to deliver a webhook: `delivered`, `failed` and to be tried again, or "
            "`given_up`. Samples that a user asked for are excluded.",
            ["outcome"],
            registry=registry,
        )

    def _declare_replicas(self, registry: CollectorRegistry) -> None:
        self.engine_up = Gauge(
            "graftline_engine_up",
            "Whether a replica of the engine answered last time: 1 or 0.",
            ["replica"],
            registry=registry,
        )
        self.replica_adapters = Gauge(
            "graftline_replica_adapters",
            "Adapters that a replica held when it was last looked at, those of others included.",
            ["replica"],
            registry=registry,
        )
        self.replica_requests = Gauge(
            "graftline_replica_requests",
            "Inference requests that this process has in flight on a replica.",
            ["replica"],
            registry=registry,
        )
        self.ejections = Counter(
            "graftline_replica_ejections",
            "Times that a replica got no requests for a while because requests failed on it.",
            ["replica"],
            registry=registry,
        )
        self.retries = Counter(
            "graftline_retries",
            "Requests sent again before their first byte: the replica was `unreachable`, it was "
            "`interrupted`, or the version was `absent` from it.",
            ["reason"],
            registry=registry,
        )

    def _declare_adapters(self, registry: CollectorRegistry) -> None:
        self.adapters = Gauge(
            "graftline_adapters",
            "Adapter versions by recorded state, and `loaded` as observed on at least one replica.",
            ["state"],
            registry=registry,
        )
        self.adapter_loads = Counter(
            "graftline_adapter_loads",
            "Attempts to load a version on a replica: `loaded`, `refused` by the engine, `corrupt` "
            "on disk, or `ineffective` there although it served before.",
            ["outcome"],
            registry=registry,
        )
        self.evictions = Counter(
            "graftline_adapter_evictions",
            "Versions unloaded from a replica because another one needed the place.",
            registry=registry,
        )
        self.probe_effect = Gauge(
            "graftline_adapter_probe_effect_nats",
            "Mean change of log-probability a token that the engine shows with the adapter.",
            ["model"],
            registry=registry,
        )
        self.probe_difference = Gauge(
            "graftline_adapter_probe_difference_nats",
            "Mean difference of log-probability a token between engine and trainer.",
            ["model"],
            registry=registry,
        )
        self.reconcile_errors = Counter(
            "graftline_reconcile_errors",
            "Reconcile passes and steps that failed; a stopped engine is not one of them.",
            registry=registry,
        )
        self.reconcile_last_success = Gauge(
            "graftline_reconcile_last_success_timestamp_seconds",
            "When a reconcile pass last saw a running engine and ended well.",
            registry=registry,
        )

    def _declare_interactions(self, registry: CollectorRegistry) -> None:
        self.interactions = Counter(
            "graftline_interactions", "Interactions stored.", registry=registry
        )
        self.interactions_dropped = Counter(
            "graftline_interactions_dropped",
            "Interactions that could not be stored; feedback on them is not found.",
            registry=registry,
        )
        self.usage_dropped = Counter(
            "graftline_usage_dropped",
            "Requests missing from the usage: too many groups waited, or a stop without database.",
            registry=registry,
        )
        self.limit_counter_failures = Counter(
            "graftline_limit_counter_failures",
            "Calls to the shared counters of limits that failed; the process then counts alone.",
            registry=registry,
        )
        self.texts = Counter(
            "graftline_interaction_texts",
            "Texts of interactions stored, for projects that opted in.",
            registry=registry,
        )
        self.texts_dropped = Counter(
            "graftline_interaction_texts_dropped",
            "Sampled texts not kept: too long, no text in the answer, or no room to wait.",
            registry=registry,
        )
        self.feedback = Counter(
            "graftline_feedback",
            "Judgements on interactions: `good` from a score of one half upwards, `bad` below it, "
            "`unscored` without a score.",
            ["deployment", "arm", "verdict"],
            registry=registry,
        )
        self.feedback_score = Histogram(
            "graftline_feedback_score",
            "Scores of judgements, from 0 (bad) to 1 (good).",
            ["deployment", "arm"],
            buckets=_SCORES,
            registry=registry,
        )

    def forget(self, model: str) -> None:
        """Drop every series of a version that is deleted."""
        self.tally.forget(model)
        for metric in (self.in_flight, self.probe_effect, self.probe_difference):
            metric.remove_by_labels({"model": model})

    def forget_replica(self, replica: str) -> None:
        """Drop every series of a replica that vanished."""
        for metric in (
            self.engine_up,
            self.replica_adapters,
            self.replica_requests,
            self.ejections,
        ):
            metric.remove_by_labels({"replica": replica})

    def record_feedback(self, *, deployment: str | None, arm: str, score: float | None) -> None:
        """Count one judgement."""
        name = deployment or ""
        if score is None:
            self.feedback.labels(name, arm, "unscored").inc()
            return
        self.feedback.labels(name, arm, "good" if score >= GOOD_SCORE else "bad").inc()
        self.feedback_score.labels(name, arm).observe(score)


def _own_version() -> str:
    try:
        return version("graftline")
    except PackageNotFoundError:
        return "not installed"
