"""`graftline up --replicas 2` under the real supervisor, with the real service before two fakes."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from registry.settings import Settings, child_environment
from tests.processes import family, free_ports, still_alive, wait_for_json, wait_until

pytestmark = pytest.mark.slow
REPLICAS = 2


@dataclass
class UpStack:
    """A running stack."""

    settings: Settings
    """Its settings."""
    process: subprocess.Popen[bytes]
    """The one that plays `graftline up`."""
    ready_file: Path
    """What it tells other programs."""

    def ready_without(self, killed: int | None = None) -> Any:
        """Return what the ready file says once every part answers, none of them as `killed`."""
        return wait_for_json(
            self.ready_file,
            lambda told: told is not None and told["ready"] and killed not in told["pids"].values(),
        )

    def ask(self, number: int) -> int:
        """Ask the base model something new and return the status."""
        key = self.settings.admin_key_file.read_text().strip()
        messages = [{"role": "user", "content": f"{number} times hello"}]
        answer = httpx.post(
            f"{self.settings.service_url}/v1/chat/completions",
            json={"model": self.settings.base_name, "messages": messages},
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
        )
        return answer.status_code

    def up(self) -> dict[str, float]:
        """Return which replicas answer, by host and port, as the service sees them."""
        text = httpx.get(f"{self.settings.service_url}/metrics", timeout=30).text
        (found,) = (
            each
            for each in text_string_to_metric_families(text)
            if each.name == "graftline_engine_up"
        )
        return {sample.labels["replica"]: sample.value for sample in found.samples}


def engine_port() -> int:
    """Return a port for the first replica so that the next one's is free too."""
    while True:
        (port,) = free_ports(1)
        settings = Settings(engine_port=min(port, 60_000), engine_replicas=REPLICAS)
        try:
            for one in settings.engine_ports:
                socket.create_server(("127.0.0.1", one)).close()
        except OSError:
            continue
        return settings.engine_port


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[UpStack]:
    """Run a stack for the length of a test, and see that nothing of it is left."""
    service, trainer, evals = free_ports(3)
    settings = Settings(
        data_dir=tmp_path / "data",
        port=service,
        trainer_port=trainer,
        evals_port=evals,
        engine_port=engine_port(),
        engine_replicas=REPLICAS,
        reconcile_seconds=0.2,
    )
    ready_file = tmp_path / "ready.json"
    with (tmp_path / "up.out").open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.engine_stack", str(ready_file)],
            env=child_environment(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    yield UpStack(settings, process, ready_file)
    everyone = family(process.pid)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=90)
    assert not still_alive(everyone)


def test_a_killed_replica_of_two_is_missed_by_nobody(stack: UpStack) -> None:
    """The other one answers; the supervisor starts it again, and the service takes it back."""
    names = {f"127.0.0.1:{port}" for port in stack.settings.engine_ports}
    pids = stack.ready_without()["pids"]
    assert set(pids) == {"engine", "engine-2", "service", "trainer", "evals"}
    wait_until(lambda: stack.up() == dict.fromkeys(names, 1), "both replicas are up")
    os.kill(pids["engine-2"], signal.SIGKILL)
    assert [stack.ask(number) for number in range(10)] == [200] * 10
    told = stack.ready_without(pids["engine-2"])
    assert told["restarts"] == {**dict.fromkeys(pids, 0), "engine-2": 1}
    wait_until(lambda: stack.up() == dict.fromkeys(names, 1), "both replicas are up again")
    assert [stack.ask(number) for number in range(10)] == [200] * 10
