"""The whole service on a real socket, over a fake vLLM and a real store.

It refuses to know what is tested.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import aiohttp
import uvicorn

from registry.artifacts import Manifest, ProbeRow, publish
from registry.identifiers import new_id
from registry.lifecycle import AdapterStatus
from registry.records import (
    AdapterVersion,
    Deployment,
    DeploymentChange,
    JobCheckpoint,
)
from registry.settings import Settings
from service.front import Front
from service.patience import ImpatientProtocol
from service.services import Services
from tests import records
from tests.applications import application
from tests.database_template import prepare
from tests.fakes.vllm import BASE_LOGPROB, FakeVllm
from tests.records import adapter_version

BASE = "tiny-base"
CHAT = "/v1/chat/completions"
PATIENCE_SECONDS = 60.0
"""Longest time to wait for what a busy machine does late."""
COMPLETIONS = "/v1/completions"
PROJECT = "default"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@dataclass
class Serving:
    """A running service and what it stands on."""

    settings: Settings
    """Its settings."""
    vllms: list[FakeVllm]
    """The replicas of the engine."""
    services: Services
    """Its parts."""
    client: aiohttp.ClientSession
    """A client with the admin key."""
    port: int
    """Where it listens."""

    @property
    def vllm(self) -> FakeVllm:
        """The first replica."""
        return self.vllms[0]

    async def publish(
        self,
        name: str = "ft:tiny-base:default:test:00000001",
        *,
        step: int | None = None,
        probe: ProbeRow | None = None,
        trainer_shift: float = 0.5,
        project: str = PROJECT,
        damage: Callable[[Path], object] | None = None,
        **changes: Any,
    ) -> AdapterVersion:
        """Publish an adapter as the trainer does, and return its record.

        The files may be damaged between their publication and the record.
        """
        settings, directory = self.settings, name.replace(":", "-")
        staged = settings.work_dir / directory
        if not staged.exists():  # a test with a real engine wrote real weights there
            staged.mkdir(parents=True)
            (staged / "adapter_config.json").write_text("{}")
            (staged / "adapter_model.safetensors").write_bytes(name.encode())
        manifest = _manifest(name, probe or _expected(trainer_shift))
        published = publish(staged, settings.adapters_dir / directory, manifest)
        if damage is not None:
            damage(settings.adapters_dir / directory)
        version = adapter_version(
            name,
            project=project,
            step=step,
            directory=directory,
            manifest_sha256=published.manifest_sha256,
            status=AdapterStatus.PUBLISHED,
            **changes,
        )
        await self.services.store.jobs.add_checkpoint(_checkpoint(name), version)
        await self.services.routing.refresh()
        return version

    async def serve(self, name: str = "ft:tiny-base:default:test:00000001") -> AdapterVersion:
        """Publish an adapter and wait until it serves."""
        version = await self.publish(name)
        await self.services.reconciler.ensure(version)
        return version

    async def deploy(
        self,
        name: str,
        stable: str,
        candidate: str | None = None,
        weight: float = 0.0,
        **changes: Any,
    ) -> Deployment:
        """Make a deployment."""
        deployment = records.deployment(
            name, stable=stable, candidate=candidate, candidate_weight=weight, **changes
        )
        change = DeploymentChange(
            deployment=name,
            project=PROJECT,
            generation=1,
            action="create",
            actor="key-test",
            created_at=1,
            stable=stable,
            candidate=candidate,
            candidate_weight=weight,
        )
        await self.services.store.deployments.add(deployment, change)
        await self.services.routing.refresh()
        return deployment

    async def until(self, name: str, status: AdapterStatus) -> AdapterVersion:
        """Reconcile until a version has a status, and return it."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                version = await self.services.store.adapters.get(name)
                if version.status is status:
                    return version
                self.services.reconciler.wake()
                await self.passed()

    def all_up(self) -> bool:
        """Return whether every replica gets requests."""
        return all(replica.is_up for replica in self.services.fleet.replicas)

    async def passed(self) -> None:
        """Return once the reconcile loop announced something."""
        changed = self.services.reconciler._changed
        async with changed:
            await changed.wait()

    async def chat(self, model: str, **fields: Any) -> aiohttp.ClientResponse:
        """Send a chat request and return its answer, read."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        async with self.client.post(CHAT, data=BytesIO(json.dumps(body).encode())) as response:
            await response.read()
        return response

    def metric(self, name: str, **labels: str) -> float:
        """Return a metric's value, 0 when it was never set."""
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0


def settings_for(folder: Path, engine_url: str, **changes: Any) -> Settings:
    """Return settings for a quick loop over an engine."""
    prepare(folder / "data")
    values: dict[str, Any] = {
        "data_dir": folder / "data",
        "engine_url": engine_url,
        "reconcile_seconds": 0.05,
        "request_deadline_seconds": 20.0,
        **changes,
    }
    return Settings(**values)


@asynccontextmanager
async def serving(folder: Path, *, replicas: int = 1, **changes: Any) -> AsyncIterator[Serving]:
    """Run service and fake vLLMs, or the engine at `engine_url`, for the length of a block."""
    vllms = [FakeVllm(base=BASE) for _ in range(replicas)]
    for vllm in vllms:
        await vllm.start()
    try:
        urls = ",".join(vllm.url for vllm in vllms)
        async with service_over(
            vllms, settings_for(folder, **({"engine_url": urls} | changes))
        ) as s:
            yield s
    finally:
        for vllm in vllms:
            await vllm.stop()


@asynccontextmanager
async def service_over(vllms: list[FakeVllm], settings: Settings) -> AsyncIterator[Serving]:
    """Run one service process's application over engines that run already."""
    with application(settings) as app:
        async with _served(app, vllms, settings) as running:
            yield running


@asynccontextmanager
async def _served(app: Front, vllms: list[FakeVllm], settings: Settings) -> AsyncIterator[Serving]:
    config = uvicorn.Config(
        app,
        log_config=None,
        http=cast("Any", partial(ImpatientProtocol, client_seconds=settings.client_seconds)),
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # no Nagle
    listener.bind(("127.0.0.1", 0))
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            await server.ready.wait()
            key = settings.admin_key_file.read_text().strip()
            port = listener.getsockname()[1]
            async with aiohttp.ClientSession(
                f"http://127.0.0.1:{port}",
                headers={"Authorization": f"Bearer {key}"},
            ) as client:
                running = Serving(settings, vllms, app.state.services, client, port)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while not running.all_up():
                        await running.passed()
                yield running
            server.should_exit = True
    finally:
        listener.close()


def _expected(trainer_shift: float) -> ProbeRow:
    """Return what the trainer saw, if it agrees with the fake."""
    targets = 3
    return ProbeRow(
        token_ids=[5, 6, 7, 8, 9],
        target_start=2,
        base_logprobs=[BASE_LOGPROB] * targets,
        adapter_logprobs=[BASE_LOGPROB + trainer_shift] * targets,
    )


def _manifest(name: str, row: ProbeRow) -> Manifest:
    return Manifest(
        name=name,
        job_id=None,
        base_model=BASE,
        base_sha256="0" * 64,
        training_sha256="0" * 64,
        validation_sha256=None,
        hyperparameters={},
        seed=1,
        step=1,
        libraries={},
        probe=[row],
        metrics={},
        created_at=1,
    )


def _checkpoint(name: str) -> JobCheckpoint:
    return JobCheckpoint(
        id=new_id("ftckpt"),
        job_id=new_id("ftjob"),
        step=1,
        fine_tuned_model_checkpoint=name,
        metrics={},
        created_at=int(time.time()),
    )
