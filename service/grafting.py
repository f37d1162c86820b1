"""The steps of an adapter version's life in the engine: load, examine, unload, delete.

It refuses to decide which step is next. Each step can be repeated after a crash half-way.
"""

import logging
import shutil
from pathlib import Path

from anyio import to_thread

from registry.artifacts import MANIFEST, Manifest, sha256_of, verify
from registry.errors import CorruptArtifact, EngineError, GraftlineError, Unavailable
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from registry.settings import Settings
from registry.store import Store
from service.metrics import ServiceMetrics
from service.probe import ProbeFigures, fault_of, measure
from service.vllm import Engine
from service.wanted import Action, Step

logger = logging.getLogger(__name__)


class Grafting:
    """Performs one step on one version."""

    def __init__(
        self, *, settings: Settings, store: Store, engine: Engine, metrics: ServiceMetrics
    ) -> None:
        self._settings = settings
        self._store = store
        self._engine = engine
        self._metrics = metrics

    async def perform(self, action: Action, observed: dict[str, str]) -> None:
        """Perform a step, and keep `observed` (path by adapter name) true.

        Raises:
            EngineError: The engine refused; trying again later may help.
            CorruptArtifact: A version that was served before is damaged now.
            Conflict: The version was moved by somebody else meanwhile.
            Unavailable: The engine or the database does not answer.
            OSError: Files could not be read or deleted.
        """
        version = action.version
        match action.step:
            case Step.LOAD:
                await self._load(version, observed)
            case Step.EXAMINE:
                await self._examine(version, observed)
            case Step.UNLOAD:
                await self._unload(version, observed)
            case Step.DELETE:
                await self._delete(version)

    async def _load(self, version: AdapterVersion, observed: dict[str, str]) -> None:
        try:
            root = self._root_of(version)
            await to_thread.run_sync(_verified, root, version.manifest_sha256)
            if version.name in observed:  # under another path: not the bytes we mean
                await self._unload(version, observed)
            await self._engine.load(version.name, str(root))
        except CorruptArtifact as exc:
            self._metrics.adapter_loads.labels("corrupt").inc()
            await self._reject_or_raise(version, exc)
        except EngineError as exc:
            self._metrics.adapter_loads.labels("refused").inc()
            await self._require_healthy()
            await self._reject_or_raise(version, exc)
        else:
            self._metrics.adapter_loads.labels("loaded").inc()
            observed[version.name] = str(root)
            logger.info("loaded %s", version.name)

    async def _examine(self, version: AdapterVersion, observed: dict[str, str]) -> None:
        try:
            figures = await self._probe(version)
        except CorruptArtifact as exc:
            await self._reject(version, str(exc))
            return
        except EngineError as exc:
            await self._require_healthy()
            if exc.status == _NOT_FOUND:  # the engine was restarted since we loaded it
                observed.pop(version.name, None)
            raise
        self._metrics.probe_effect.labels(version.name).set(figures.effect_nats)
        if figures.difference_nats is not None:
            self._metrics.probe_difference.labels(version.name).set(figures.difference_nats)
        fault = fault_of(
            figures,
            min_effect_nats=self._settings.probe_min_effect_nats,
            tolerance_nats=self._settings.probe_tolerance_nats,
        )
        if fault is not None:
            await self._reject(version, fault, figures)
            return
        await self._store.adapters.move(version.name, AdapterStatus.READY, probe=figures)
        logger.info("%s is ready", version.name)

    async def _probe(self, version: AdapterVersion) -> ProbeFigures:
        root = self._root_of(version)
        manifest = await to_thread.run_sync(_verified, root, version.manifest_sha256)
        return await measure(
            self._engine,
            base=self._settings.base_name,
            adapter=version.name,
            rows=manifest.probe,
        )

    async def _unload(self, version: AdapterVersion, observed: dict[str, str]) -> None:
        try:
            await self._engine.unload(version.name)
        except EngineError:
            await self._require_healthy()
            raise
        observed.pop(version.name, None)
        logger.info("unloaded %s", version.name)

    async def _delete(self, version: AdapterVersion) -> None:
        await to_thread.run_sync(_remove, self._root_of(version))
        await self._store.adapters.move(version.name, AdapterStatus.DELETED)
        logger.info("deleted the files of %s", version.name)

    async def _reject_or_raise(self, version: AdapterVersion, fault: GraftlineError) -> None:
        """Reject a version that was never served; one that was may only be tried again."""
        if version.status is not AdapterStatus.PUBLISHED:
            raise fault
        await self._reject(version, str(fault))

    async def _reject(
        self, version: AdapterVersion, reason: str, figures: ProbeFigures | None = None
    ) -> None:
        changes = {} if figures is None else {"probe": figures}
        await self._store.adapters.move(
            version.name, AdapterStatus.REJECTED, reason=reason, **changes
        )
        logger.warning("rejected %s: %s", version.name, reason)

    async def _require_healthy(self) -> None:
        """Blame the engine, not the adapter, when the engine is dying."""
        if not await self._engine.is_healthy():
            raise Unavailable("engine", "The engine is not healthy.")

    def _root_of(self, version: AdapterVersion) -> Path:
        adapters = self._settings.adapters_dir
        root = adapters / version.directory
        if adapters.resolve() not in root.resolve().parents:
            raise CorruptArtifact(version.directory, "it lies outside the adapters' folder")
        return root


_NOT_FOUND = 404


def _verified(root: Path, manifest_sha256: str) -> Manifest:
    manifest = verify(root)
    if sha256_of(root / MANIFEST) != manifest_sha256:
        raise CorruptArtifact(root.name, "the manifest is not the one that was recorded")
    return manifest


def _remove(root: Path) -> None:
    if root.exists():
        shutil.rmtree(root)
