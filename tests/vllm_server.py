"""The real vLLM server for tests: start it, wait for it, kill all of it; and a tiny LoRA for it.

It refuses to know what is tested.
"""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import save_file

from registry.settings import Settings, child_environment, embedded_base
from service.stack.preflight import host_here
from service.stack.programs import engine_program, shared_environment

START_SECONDS = 300.0
"""Longest time until the server answers."""
_POLL_SECONDS = 0.5
_OK = 200


class VllmServer:
    """A vLLM process on a port of its own; `options` are settings beside it."""

    def __init__(self, log: Path, *, port: int | None = None, **options: Any) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the API server."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and return once it is healthy."""
        settings = Settings(engine_port=self.port, **self._options)
        program = engine_program(settings, host_here(()))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                program.command,
                env=child_environment(
                    settings, {**shared_environment(settings), **program.environment}
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._is_healthy():
            self.require_alive()
            if time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"vLLM did not start:\n{self._tail()}")
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=_POLL_SECONDS)

    def require_alive(self) -> None:
        """Raise `RuntimeError` with the end of its log if it ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"vLLM ended:\n{self._tail()}")

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """Kill it with everything it started, at once."""
        if self._process is None:
            return
        family: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid)
            family = [*parent.children(recursive=True), parent]
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)
        self._process.wait(timeout=10)
        self._process = None

    def _is_healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == _OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def running_vllm(log: Path) -> Iterator[VllmServer]:
    """Run a server for the length of a block."""
    server = VllmServer(log)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_adapter(folder: Path, *, rank: int = 8, scale: float = 0.05, seed: int = 0) -> None:
    """Write a LoRA for the tiny base model whose random weights change every answer."""
    shape = json.loads((embedded_base() / "config.json").read_text())
    hidden, layers = int(shape["hidden_size"]), int(shape["num_hidden_layers"])
    draw = np.random.default_rng(seed)
    tensors = {}
    for layer in range(layers):
        stem = f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora"
        tensors[f"{stem}_A.weight"] = draw.normal(0, scale, (rank, hidden)).astype(np.float32)
        tensors[f"{stem}_B.weight"] = draw.normal(0, scale, (hidden, rank)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 16 * rank,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
