"""An import's way from two staged files to a published version: files first, then the record.

It refuses to know how the files came here, and leaves nothing half done.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from anyio import to_thread

from registry import artifacts
from registry.artifact_store import ArtifactStore
from registry.artifacts import CARD, Manifest, sha256_of
from registry.durable import write_file
from registry.engine_layers import ENGINE_LAYERS
from registry.errors import AdapterFault, Conflict, InvalidAdapter
from registry.identifiers import adapter_name, new_id
from registry.lifecycle import AdapterStatus
from registry.model_card import card_of
from registry.records import AdapterVersion, Record
from registry.settings import Settings
from registry.store import Store
from service.importing import checks, configuration
from service.importing.checks import Limits, Pair
from service.importing.configuration import CONFIG, MAX_CONFIG_BYTES, Lora
from service.importing.foundation import Foundation, find_folder, read_foundation
from service.importing.header import WEIGHTS, read_header
from service.importing.probing import probe_rows
from service.importing.weights import weight_faults


class Request(Record, frozen=True, kw_only=True):
    """What the importer says beside the files."""

    project: str
    """The project that will own it."""
    suffix: str | None
    """Part of its name."""
    heldout_file: str | None
    """Id of rows it never saw in training, if there are such."""


class Imported(Record, frozen=True, kw_only=True):
    """A published import."""

    version: AdapterVersion
    """Its record."""
    notices: list[str]
    """What was noticed but is no fault."""


class _Examined(Record, frozen=True, kw_only=True):
    lora: Lora
    pairs: list[Pair]
    foundation: Foundation
    base_folder: Path


class Importer:
    """Publishes adapters that were trained elsewhere."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._artifacts = ArtifactStore(settings)

    async def publish(self, staged: Path, request: Request) -> Imported:
        """Check and publish the two files in `staged`; it is moved away or left as it is.

        Raises:
            InvalidAdapter: With every fault, up to a limit.
            Conflict: The project has the same bytes already, or imports would be refused for want
                of a signature.
            Unavailable: The base model or the database cannot be read.
            StorageFull: The disk is full; nothing is visible.
            StoreAway: The artifact store does not answer; nothing is visible there.
        """
        self._require_signature()
        examined = await to_thread.run_sync(examine, staged, self._settings)
        version, same_bytes = await to_thread.run_sync(
            self._publish_files, staged, request, examined
        )
        try:
            await self._store.adapters.add_import(version, same_bytes=same_bytes)
        except Conflict:
            # After any other fault the record may be there all the same: `sweep` looks later.
            await to_thread.run_sync(self._artifacts.delete, version.directory)
            raise
        return Imported(version=version, notices=_notices(examined))

    def _require_signature(self) -> None:
        if self._settings.verification_key is not None and self._settings.signing_key is None:
            raise Conflict(
                "This service loads signed adapters only (GRAFTLINE_VERIFICATION_KEY) and has no "
                "key to sign an import with. Set GRAFTLINE_SIGNING_KEY."
            )

    def _publish_files(
        self, staged: Path, request: Request, examined: _Examined
    ) -> tuple[AdapterVersion, str]:
        lora, base_name = examined.lora, self._settings.base_name
        targets = {pair.module.rpartition(".")[2] for pair in examined.pairs}
        content = configuration.normalised(lora, targets, base_name)
        write_file(staged / CONFIG, content)
        whole = hashlib.sha256(content + sha256_of(staged / WEIGHTS).encode()).hexdigest()
        unique = new_id("ftimport").removeprefix("ftimport-")
        same_bytes = f"import-{whole[:32]}-"
        directory = f"{same_bytes}{unique[:8]}"
        name = adapter_name(
            base=base_name, project=request.project, suffix=request.suffix, job_id=unique
        )
        manifest = _manifest(name, examined, self._settings)
        write_file(staged / CARD, card_of(manifest).encode())
        published = self._artifacts.publish(staged, directory, manifest)
        version = AdapterVersion(
            name=name,
            project=request.project,
            base_model=base_name,
            job_id=None,
            step=None,
            directory=directory,
            manifest_sha256=published.manifest_sha256,
            rank=max(pair.rank for pair in examined.pairs),
            heldout_file=request.heldout_file,
            training_file=None,
            status=AdapterStatus.PUBLISHED,
            created_at=int(time.time()),
        )
        return version, same_bytes


def examine(staged: Path, settings: Settings) -> _Examined:
    """Return what the two files in a folder hold; slow for large ones.

    Raises:
        InvalidAdapter: With every fault, up to a limit.
        Unavailable: The base model's files are not on this machine.
    """
    base_folder = find_folder(settings.base_model)
    foundation = read_foundation(base_folder, settings.base_name)
    with (staged / CONFIG).open("rb") as stream:
        fields = configuration.parse(stream.read(MAX_CONFIG_BYTES + 1))
    weights = staged / WEIGHTS
    with weights.open("rb") as stream:
        tensors = read_header(stream, weights.stat().st_size)
    faults = [*configuration.faults_of(fields), *checks.tensor_faults(tensors)]
    _refuse(faults)
    lora, pairs = configuration.lora_of(fields), checks.pairs_of(tensors)
    limits = Limits(max_rank=settings.max_lora_rank, target_modules=ENGINE_LAYERS)
    _refuse(checks.fit_faults(pairs, lora, foundation, limits))
    _refuse(weight_faults(weights, pairs))
    return _Examined(lora=lora, pairs=pairs, foundation=foundation, base_folder=base_folder)


def _refuse(faults: Sequence[AdapterFault]) -> None:
    if faults:
        most = checks.MAX_FAULTS
        raise InvalidAdapter(tuple(faults[:most]), more=len(faults) > most)


def _notices(examined: _Examined) -> list[str]:
    found, lora, base = [], examined.lora, examined.foundation
    if lora.base_hint and lora.base_hint.rstrip("/").rpartition("/")[2] != base.name:
        found.append(
            f"adapter_config.json names {lora.base_hint!a} as its base model; its shapes fit "
            f"'{base.name}', which is what it will be served on."
        )
    if unknown := checks.unchecked(examined.pairs, base):
        found.append(
            f"The shapes of {len(unknown)} layers could not be compared with the base model's, "
            f"the first of them '{unknown[0]}'."
        )
    return found


def _manifest(name: str, examined: _Examined, settings: Settings) -> Manifest:
    lora = examined.lora
    probe = probe_rows(
        examined.base_folder,
        vocabulary=examined.foundation.vocabulary,
        max_tokens=settings.max_model_len - 1,
    )
    return Manifest(
        name=name,
        job_id=None,
        base_model=settings.base_name,
        base_sha256=artifacts.identity_of_base(examined.base_folder),
        training_sha256=None,
        validation_sha256=None,
        hyperparameters={"lora_rank": lora.rank, "lora_alpha": lora.alpha},
        seed=None,
        step=None,
        libraries={"peft": lora.peft_version} if lora.peft_version else {},
        probe=probe,
        metrics={},
        created_at=int(time.time()),
    )
