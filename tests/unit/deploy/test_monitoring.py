"""What `deploy/` names is exported, documented, and accepted by Prometheus' own tool."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from evals.drift.gauges import DriftGauges
from evals.metrics import Metrics as EvalsMetrics
from registry.settings import Settings
from service.metrics import ServiceMetrics
from trainer.metrics import TrainerMetrics

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
PROMETHEUS = DEPLOY / "prometheus"
DASHBOARD = DEPLOY / "grafana" / "graftline.json"
DOCUMENT = ROOT / "docs" / "metrics.md"
NAME = re.compile(r"\b(?:graftline_[a-z0-9_]+|vllm:[a-z0-9_]+)")
SELECTOR = re.compile(r"(graftline_[a-z0-9_]+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
ROW = re.compile(r"^\| `(graftline_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)
VLLM = {"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"}
"""What a real vLLM is asked for in `tests/integration/test_stack.py`."""


def families() -> dict[str, str]:
    """Return the type of every family that our processes export, by its documented name."""
    registries = (
        ServiceMetrics(CollectorRegistry()).registry,
        _trainer(),
        EvalsMetrics().registry,
    )
    return {documented(one): kind(one) for registry in registries for one in registry.collect()}


def _trainer() -> CollectorRegistry:
    registry = CollectorRegistry()
    TrainerMetrics(registry)
    return registry


def documented(family: Metric) -> str:
    """Return the name under which a family's samples are found."""
    return family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")


def kind(family: Metric) -> str:
    """Return the type as Prometheus sees it."""
    return {"info": "gauge"}.get(family.type, family.type)


def exported() -> set[str]:
    """Return every sample name a query may use."""
    names = set(families())
    for name, type_ in families().items():
        if type_ == "histogram":
            names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
    return names


def expressions() -> list[str]:
    """Return every query in the dashboard and the alerts."""
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [t["expr"] for panel in dashboard["panels"] for t in panel.get("targets", [])]
    queries += [variable["query"] for variable in dashboard["templating"]["list"]]
    rules = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())
    return queries + [rule["expr"] for group in rules["groups"] for rule in group["rules"]]


def described() -> dict[str, Any]:
    """Return type and labels of each metric in the document."""
    rows = ROW.findall(DOCUMENT.read_text())
    assert len(rows) == len({name for name, _, _ in rows}), "a metric is described twice"
    return {name: (type_, set(re.findall(r"`(\w+)`", labels))) for name, type_, labels in rows}


def test_every_metric_that_is_watched_is_exported() -> None:
    """Dashboard and alerts name nothing that does not exist."""
    named = {name for expression in expressions() for name in NAME.findall(expression)}
    assert named, "the queries were not found"
    assert named <= exported() | VLLM


def test_every_label_that_is_watched_exists() -> None:
    """A selector on a label that a metric does not have would silently match nothing."""
    labels = {name: found for name, (_, found) in described().items()}
    for expression in expressions():
        for name, selector in SELECTOR.findall(expression):
            family = re.sub(r"_(bucket|sum|count)$", "", name)
            used = set(LABEL.findall(re.sub(r'"[^"]*"', '""', selector)))
            assert used <= labels.get(name, labels.get(family, set())) | {"job", "le"}, expression


def test_every_metric_is_documented_once() -> None:
    """The document lists what is exported, with its type, and nothing else."""
    assert {name: type_ for name, (type_, _) in described().items()} == families()


def test_documented_labels_are_the_declared_ones() -> None:
    """For every metric that declares its labels."""
    told = described()
    for registry in (ServiceMetrics(CollectorRegistry()).registry, _trainer()):
        for collector in list(registry._collector_to_names):
            labels = getattr(collector, "_labelnames", None)
            if labels is not None and collector._type != "info":  # type: ignore[attr-defined] # prometheus_client keeps it private
                assert told[documented(next(iter(collector.describe())))][1] == set(labels)  # type: ignore[attr-defined] # the same


def test_the_dashboard_explains_itself() -> None:
    """Every panel says what it shows, and no two overlap."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert all(panel["description"] for panel in panels if panel["type"] != "row")
    cells = [
        (panel["gridPos"]["y"] + y, panel["gridPos"]["x"] + x)
        for panel in panels
        for y in range(panel["gridPos"]["h"])
        for x in range(panel["gridPos"]["w"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_scraped_ports_are_the_default_ones() -> None:
    """The scrape file fits a stack that was started without options."""
    chosen = Settings()
    ports = {chosen.port, chosen.engine_port, chosen.trainer_port, chosen.evals_port}
    scrapes = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    targets = {
        target
        for job in scrapes
        for static in job["static_configs"]
        for target in static["targets"]
    }
    assert targets == {f"127.0.0.1:{port}" for port in ports}


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
)
def test_prometheus_accepts_the_files(command: tuple[str, ...]) -> None:
    """Its own tool finds no fault, and the alerts fire when they should."""
    done = subprocess.run(
        ["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_compose_starts_every_process() -> None:
    """Service, trainer, exams and vLLM, each with a health check, from one image."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    ours = {name: one for name, one in services.items() if one["image"] == "graftline"}
    assert set(ours) == {"pod", "engine", "service", "trainer", "evals"}
    assert all("healthcheck" in one for one in services.values())


def test_documented_labels_of_drift_are_the_declared_ones() -> None:
    """Its families are made at each scrape and declare their labels there."""
    told = described()
    families_of_drift = list(DriftGauges().collect())
    assert len(families_of_drift) == 4
    for family in families_of_drift:
        assert told[family.name][1] == set(family._labelnames)  # type: ignore[attr-defined] # as above
