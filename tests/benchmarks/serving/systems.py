"""The systems side by side: nothing at all, Graftline, litellm and vllm-router, each started.

It refuses to know what is measured. Each forwards to the same mock upstream and has one worker.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from registry.settings import Settings, child_environment
from tests.benchmarks.serving import adapters
from tests.benchmarks.serving.programs import running
from tests.benchmarks.serving.upstream import BASE, Upstream, build
from tests.processes import free_ports, wait_until

DIRECT, GRAFTLINE, LITELLM, ROUTER = "direct", "graftline", "litellm", "vllm-router"
RELAY = "bare relay"
"""Name of a program that only copies bytes: the least that can stand there."""
ALL = (DIRECT, GRAFTLINE, LITELLM, ROUTER)
"""Names of the systems, in the table's order."""
DEPLOYMENT = "bench"
_PEER_KEY = "sk-bench"
_LOAD_SECONDS = 60.0
_ANSWER_SECONDS = 120.0
_OK = 200


@dataclass(frozen=True, kw_only=True)
class System:
    """One system that answers now."""

    name: str
    """One of `ALL`."""
    url: str
    """Where it listens, without a path."""
    key: str
    """What a client sends as its API key."""
    model: str
    """What a client sends as `model`."""
    pid: int | None
    """Its process; none when nothing stands between client and upstream."""

    def post(self, body: Mapping[str, object]) -> httpx.Response:
        """Send one chat request."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"{self.url}/v1/chat/completions"
        return httpx.post(url, json=body, headers=headers, timeout=_ANSWER_SECONDS)


@contextmanager
def direct(upstream: Upstream) -> Iterator[System]:
    """No gateway: the client speaks to the upstream."""
    yield System(name=DIRECT, url=upstream.url, key="none", model=BASE, pid=None)


@contextmanager
def relay(upstream: Upstream, folder: Path) -> Iterator[System]:
    """A program in C that copies bytes between client and upstream."""
    (port,) = free_ports(1)
    command = [str(build("bare_relay", folder)), "--port", str(port)]
    command += ["--upstream", str(upstream.port)]
    url = f"http://127.0.0.1:{port}"
    with running(command, folder / "relay.log", f"{url}/health") as pid:
        yield System(name=RELAY, url=url, key="none", model=BASE, pid=pid)


@contextmanager
def graftline(
    upstream_url: str, folder: Path, *, served: int = 1, known: int = 1, **changes: str
) -> Iterator[System]:
    """Graftline as a user starts it, every feature on: keys, routing, split, log, metrics.

    Args:
        upstream_url: The engine.
        folder: For its data directory and its log.
        served: Adapter versions that are loaded; the first is the candidate.
        known: Adapter versions that are recorded.
        changes: More settings, by variable.
    """
    (port,) = free_ports(1)
    settings = Settings(data_dir=folder / "data", engine_url=upstream_url, port=port)
    adapters.record(settings, served=served, known=known)
    environment = child_environment(settings, changes)
    command = [sys.executable, "-m", "service"]
    url = settings.service_url
    with running(command, folder / "service.log", f"{url}/health/ready", environment) as pid:
        admin = settings.admin_key_file.read_text().strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {admin}"}) as client:
            key = _created(client, "/v1/api_keys", {"name": "bench", "scopes": ["inference"]})[
                "secret"
            ]
            system = System(name=GRAFTLINE, url=url, key=key, model=DEPLOYMENT, pid=pid)
            for name in adapters.names(served):
                wait_until(partial(_serves, system, name), name, _LOAD_SECONDS)
            trial: dict[str, object] = {"name": DEPLOYMENT, "stable": BASE}
            if served:
                trial |= {"candidate": adapters.names(1)[0], "candidate_weight": 0.5}
            _created(client, "/v1/deployments", trial)
        yield system


@contextmanager
def litellm(upstream: Upstream, folder: Path, peers: Path) -> Iterator[System]:
    """The litellm proxy: one model, a master key, one worker, nothing sent home."""
    (port,) = free_ports(1)
    configuration = folder / "litellm.yaml"
    configuration.write_text(_LITELLM.format(model=BASE, url=upstream.url, key=_PEER_KEY))
    command = [str(peers / "bin" / "litellm"), "--config", str(configuration)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environment = {
        "PATH": f"{peers / 'bin'}:/usr/bin:/bin",
        "HOME": str(folder),
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    url = f"http://127.0.0.1:{port}"
    ready = f"{url}/health/liveliness"
    with running(command, folder / "litellm.log", ready, environment) as pid:
        yield System(name=LITELLM, url=url, key=_PEER_KEY, model=BASE, pid=pid)


@contextmanager
def vllm_router(upstream: Upstream, folder: Path, peers: Path) -> Iterator[System]:
    """vllm-router with one worker to route to."""
    port, metrics_port = free_ports(2)
    command = [str(peers / "bin" / "vllm-router"), "--worker-urls", upstream.url]
    command += ["--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin"]
    command += ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(metrics_port)]
    command += ["--log-level", "warning"]
    url = f"http://127.0.0.1:{port}"
    with running(command, folder / "vllm-router.log", f"{url}/health") as pid:
        yield System(name=ROUTER, url=url, key="none", model=BASE, pid=pid)


@contextmanager
def started(name: str, upstream: Upstream, folder: Path, peers: Path) -> Iterator[System]:
    """Start a system by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    starts = {
        DIRECT: lambda: direct(upstream),
        GRAFTLINE: lambda: graftline(upstream.url, folder),
        LITELLM: lambda: litellm(upstream, folder, peers),
        ROUTER: lambda: vllm_router(upstream, folder, peers),
    }
    with starts[name]() as system:
        yield system


_LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params:
      model: openai/{model}
      api_base: {url}/v1
      api_key: none
general_settings:
  master_key: {key}
litellm_settings:
  telemetry: false
"""


def _serves(system: System, model: str) -> bool:
    messages = [{"role": "user", "content": "hi"}]
    return system.post({"model": model, "messages": messages}).status_code == _OK


def _created(client: httpx.Client, path: str, body: dict[str, object]) -> dict[str, str]:
    response = client.post(path, json=body)
    if not response.is_success:
        raise RuntimeError(f"{path}: {response.status_code} {response.text}")
    found: dict[str, str] = response.json()
    return found
