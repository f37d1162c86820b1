"""Training again from a manifest: `python -m trainer.reproduce <job, version, folder or manifest>`.

It refuses to change anything that is stored. It ends with status 0 when the bytes are the same,
with 1 when they are not, and says what differs.
"""

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread

from registry import artifacts
from registry.artifact_store import ArtifactStore
from registry.artifacts import MANIFEST, Manifest, sha256_of
from registry.blobs import Blobs
from registry.durable import write_file
from registry.errors import GraftlineError, Invalid, NotFound, TrainingFailed
from registry.formats.reading import read_rows
from registry.settings import Settings
from registry.store import open_store
from trainer.continuation import adopt
from trainer.protocol import Plan, Progress, Result, decode_outcome
from trainer.supervision import describe_death, training_child
from trainer.validation import read_validation_rows
from trainer.workplace import Workplace

WEIGHTS = "adapter_model.safetensors"
"""The file whose bytes are compared."""
_CIRCUMSTANCES = (
    "precision",
    "threads",
    "processes",
    "device",
    "processor",
    "micro_batch_tokens",
    "packing",
    "gradient_checkpointing",
    "python",
)


def main() -> None:
    """Train what the command line names again, and say whether its bytes are the same."""
    try:
        differences = asyncio.run(reproduce(Settings(), sys.argv[1]))
    except GraftlineError as exc:
        sys.exit(f"It cannot be trained again: {exc}")
    if differences:
        listing = "\n".join(f"- {one}" for one in differences)
        sys.exit(f"The bytes of {WEIGHTS} differ. What else differs:\n{listing}")
    _say(f"The bytes of {WEIGHTS} are the same.")


async def reproduce(settings: Settings, target: str) -> list[str]:
    """Train a version again; return what differs, nothing when the bytes are the same.

    Raises:
        Invalid: It cannot be trained again: an import, or files or base model changed.
        NotFound: There is no such job or version.
        TrainingFailed: The training failed this time.
    """
    manifest = await _manifest_of(settings, target)
    if not manifest.plan:
        raise Invalid(f"'{manifest.name}' was trained elsewhere, or before plans were kept.")
    try:
        plan = msgspec.convert(manifest.plan, Plan)
    except msgspec.ValidationError as exc:
        raise Invalid(f"The manifest's plan belongs to another version: {exc}.") from exc
    _say(f"Training {manifest.name} again, seed {plan.seed}.")
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(prefix="reproduce-", dir=settings.data_dir) as folder:
        place = Workplace(Path(folder))
        await to_thread.run_sync(_write, settings, manifest, plan, place)
        await lay_out_parent(settings, plan, place)
        result = await _train(settings, manifest, place)
        return await to_thread.run_sync(_differences, manifest, result, place)


async def _manifest_of(settings: Settings, target: str) -> Manifest:
    found = await to_thread.run_sync(_manifest_at, Path(target))
    if found is not None:
        return found
    store = await open_store(settings)
    try:
        name = target
        if target.startswith("ftjob-"):
            job = await store.jobs.get(target)
            if job.fine_tuned_model is None:
                raise Invalid(f"The job '{target}' is {job.status} and made no model.")
            name = job.fine_tuned_model
        version = await store.adapters.get(name)
    finally:
        await store.close()
    return await to_thread.run_sync(
        ArtifactStore(settings).bring, version.directory, version.manifest_sha256
    )


async def lay_out_parent(settings: Settings, plan: Plan, place: Workplace) -> None:
    """Put the version that a job went on from where its training child looks for it.

    Raises:
        Invalid: It is gone or damaged, or another version has its name now.
    """
    if plan.parent is None:
        return
    store = await open_store(settings)
    try:
        version = await store.adapters.get(plan.parent)
        if version.manifest_sha256 != plan.parent_sha256:
            raise Invalid(f"'{plan.parent}' is not the version that the training went on from.")
        await to_thread.run_sync(adopt, version, ArtifactStore(settings), place.parent)
    except (NotFound, TrainingFailed) as exc:
        raise Invalid(f"'{plan.parent}', which it went on from, cannot be had: {exc}") from exc
    finally:
        await store.close()


def _manifest_at(path: Path) -> Manifest | None:
    if path.name == MANIFEST and path.is_file():
        return artifacts.read_manifest(path.parent)
    return artifacts.verify(path) if path.is_dir() else None


def _write(settings: Settings, manifest: Manifest, plan: Plan, place: Workplace) -> None:
    """Write what the training child reads: the rows, then the plan."""
    blobs, encoder = Blobs(settings.files_dir), msgspec.json.Encoder()
    content = _content(blobs, plan.training_file, plan.training_sha256)
    rows = read_validation_rows(read_rows(content))  # fewer may be left than a job must have
    write_file(place.training, encoder.encode_lines(rows))
    if plan.heldout_file is not None:
        content = _content(blobs, plan.heldout_file, str(plan.heldout_sha256))
        rows = read_validation_rows(read_rows(content))
        write_file(place.validation, encoder.encode_lines(rows))
    base = settings.base_model
    folder = Path(base)
    if folder.exists() and artifacts.identity_of_base(folder) != manifest.base_sha256:
        raise Invalid(
            f"The base model {base} is not the one of the manifest ('{manifest.base_model}', "
            f"SHA-256 {manifest.base_sha256}). Set GRAFTLINE_BASE_MODEL to that one."
        )
    local = str(folder.absolute()) if folder.exists() else base
    write_file(place.plan, msgspec.json.encode(msgspec.structs.replace(plan, base_model=local)))


def _content(blobs: Blobs, file_id: str, expected: str) -> Path:
    path = blobs.path(file_id)
    if not path.exists():
        raise Invalid(f"The file '{file_id}' it was trained on is gone.", "training_file")
    found = sha256_of(path)
    if found != expected:
        raise Invalid(
            f"The file '{file_id}' is not the one it was trained on: its SHA-256 is {found}, and "
            f"the manifest says {expected}.",
            "training_file",
        )
    return path


async def _train(settings: Settings, manifest: Manifest, place: Workplace) -> Result:
    threads = str(manifest.hyperparameters.get("threads", 1))
    async with training_child(settings, place.root, {"OMP_NUM_THREADS": threads}) as child:
        async for report in child.messages():
            if isinstance(report, Progress):
                _say(f"Step {report.step} of {report.total_steps}.")
        status = await child.wait()
    if not place.outcome.exists():
        raise TrainingFailed("training_process_died", f"The process {describe_death(status)}.")
    outcome = decode_outcome(place.outcome.read_bytes())
    if not isinstance(outcome, Result):
        raise TrainingFailed(outcome.code, outcome.message)
    return outcome


def _differences(manifest: Manifest, result: Result, place: Workplace) -> list[str]:
    is_checkpoint = ":ckpt-step-" in manifest.name
    folders = [
        version.folder
        for version in result.versions
        if (version.step == manifest.step and not version.is_final)
        or (version.is_final and not is_checkpoint)
    ]
    if not folders:
        return [f"there is no checkpoint at step {manifest.step} this time"]
    if sha256_of(place.root / folders[-1] / WEIGHTS) == manifest.files[WEIGHTS]:
        return []
    then = {**manifest.libraries, **_chosen(manifest.hyperparameters)}
    now = {**result.libraries, **_chosen(result.settings)}
    return list(_compared(then, now)) or ["nothing that a manifest records"]


def _chosen(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _CIRCUMSTANCES if name in values}


def _compared(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*then, *now}):
        if then.get(name) != now.get(name):
            yield f"{name}: {then.get(name)} then, {now.get(name)} now"


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
