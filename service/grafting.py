"""The steps of an adapter version's life on a replica: load, examine, unload; and its deletion.

It refuses to decide which step is next. Each step can be repeated after a crash half-way.
"""

import logging
import shutil
from pathlib import Path

from anyio import to_thread

from registry.artifacts import MANIFEST, Manifest, full_directory, sha256_of, verify
from registry.errors import (
    CorruptArtifact,
    EngineError,
    GraftlineError,
    IllegalTransition,
    Unavailable,
)
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from registry.settings import Settings
from registry.store import Store
from service.fleet.replica import Replica
from service.metrics import ServiceMetrics
from service.probe import ProbeFigures, effect_fault_of, fault_of, measure
from service.wanted import Action, Step

logger = logging.getLogger(__name__)


class Ineffective(GraftlineError):
    """A replica loaded a version that served before, and does not apply it."""


class Grafting:
    """Performs one step on one version."""

    def __init__(self, *, settings: Settings, store: Store, metrics: ServiceMetrics) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics

    async def perform(self, action: Action, replica: Replica) -> None:
        """Perform a step on a replica, and keep what is known of the replica true.

        Raises:
            EngineError: The replica refused; trying again later may help.
            CorruptArtifact: A version that was served before is damaged now.
            Ineffective: A version that was served before changes nothing on this replica.
            Conflict: The version was moved by somebody else meanwhile.
            Unavailable: The replica or the database does not answer.
            OSError: Files could not be read.
        """
        version = action.version
        match action.step:
            case Step.LOAD:
                await self._load(version, replica)
            case Step.EXAMINE:
                await self._examine(version, replica)
            case Step.UNLOAD:
                await self._unload(version, replica)
            case Step.EVICT:
                await self._unload(version, replica)
                self._metrics.evictions.inc()

    async def delete(self, version: AdapterVersion) -> None:
        """Delete the files of a retired version, then say so in its record.

        Raises:
            IllegalTransition: Somebody else deleted it.
            Unavailable: The database does not answer; the next attempt finds no files and goes on.
            OSError: Files could not be deleted.
        """
        await to_thread.run_sync(_remove, self._root_of(version))
        await self._store.adapters.move(version.name, AdapterStatus.DELETED)
        logger.info("deleted the files of %s", version.name)

    async def _load(self, version: AdapterVersion, replica: Replica) -> None:
        try:
            root = self._root_of(version)
            await to_thread.run_sync(_verified, root, version.manifest_sha256)
            if version.name in replica.observed:  # under another path: not the bytes we mean
                await self._unload(version, replica)
            await replica.engine.load(version.name, str(root))
        except CorruptArtifact as exc:
            self._metrics.adapter_loads.labels("corrupt").inc()
            await self._reject_or_raise(version, exc)
        except EngineError as exc:
            self._metrics.adapter_loads.labels("refused").inc()
            await _require_healthy(replica)
            await self._reject_or_raise(version, exc)
        else:
            self._metrics.adapter_loads.labels("loaded").inc()
            replica.examined.pop(version.name, None)
            replica.observed[version.name] = str(root)
            logger.info("loaded %s on %s", version.name, replica.name)

    async def _examine(self, version: AdapterVersion, replica: Replica) -> None:
        try:
            figures = await self._probe(version, replica)
        except CorruptArtifact as exc:
            self._metrics.adapter_loads.labels("corrupt").inc()
            await self._reject_or_raise(version, exc)
            return
        except EngineError as exc:
            await _require_healthy(replica)
            if exc.status == _NOT_FOUND:  # the replica was restarted since we loaded it
                replica.forget(version.name)
            raise
        self._metrics.probe_effect.labels(version.name).set(figures.effect_nats)
        if figures.difference_nats is not None:
            self._metrics.probe_difference.labels(version.name).set(figures.difference_nats)
        if version.status is AdapterStatus.PUBLISHED:
            await self._judge(version, figures, replica)
        else:
            self._require_effect(figures, replica)
            self._note_examined(version, replica)

    async def _judge(
        self, version: AdapterVersion, figures: ProbeFigures, replica: Replica
    ) -> None:
        """Say in the record of a version that never served whether it may."""
        fault = fault_of(
            figures,
            min_effect_nats=self._settings.probe_min_effect_nats,
            tolerance_nats=self._settings.probe_tolerance_nats,
        )
        if fault is not None:
            await self._reject(version, fault, figures)
            return
        try:
            await self._store.adapters.move(version.name, AdapterStatus.READY, probe=figures)
        except IllegalTransition as exc:  # examined on another replica, or by another process
            if exc.present != AdapterStatus.READY:
                raise
        self._note_examined(version, replica)
        logger.info("%s is ready on %s", version.name, replica.name)

    def _require_effect(self, figures: ProbeFigures, replica: Replica) -> None:
        fault = effect_fault_of(figures, min_effect_nats=self._settings.probe_min_effect_nats)
        if fault is not None:
            self._metrics.adapter_loads.labels("ineffective").inc()
            raise Ineffective(f"{replica.name}: {fault}")

    def _note_examined(self, version: AdapterVersion, replica: Replica) -> None:
        # Only what is still observed: a request may have met a 404 while the probe ran.
        path = str(self._root_of(version))
        if replica.observed.get(version.name) == path:
            replica.examined[version.name] = path

    async def _probe(self, version: AdapterVersion, replica: Replica) -> ProbeFigures:
        root = self._root_of(version)
        manifest = await to_thread.run_sync(_verified, root, version.manifest_sha256)
        return await measure(
            replica.baseline,
            base=self._settings.base_name,
            adapter=version.name,
            rows=manifest.probe,
        )

    async def _unload(self, version: AdapterVersion, replica: Replica) -> None:
        try:
            await replica.engine.unload(version.name)
        except EngineError:
            await _require_healthy(replica)
            raise
        replica.forget(version.name)
        logger.info("unloaded %s from %s", version.name, replica.name)

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

    def _root_of(self, version: AdapterVersion) -> Path:
        adapters = self._settings.adapters_dir
        root = adapters / version.directory
        if adapters.resolve() not in root.resolve().parents:
            raise CorruptArtifact(version.directory, "it lies outside the adapters' folder")
        return root


_NOT_FOUND = 404


async def _require_healthy(replica: Replica) -> None:
    """Blame the replica, not the adapter, when the replica is dying."""
    if not await replica.engine.is_healthy():
        raise Unavailable("engine", f"{replica.name} is not healthy.")


def _verified(root: Path, manifest_sha256: str) -> Manifest:
    manifest = verify(root)
    if sha256_of(root / MANIFEST) != manifest_sha256:
        raise CorruptArtifact(root.name, "the manifest is not the one that was recorded")
    return manifest


def _remove(root: Path) -> None:
    for folder in (root.with_name(full_directory(root.name)), root):
        if folder.exists():
            shutil.rmtree(folder)
