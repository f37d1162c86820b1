"""Training that goes on from an earlier version."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from registry.artifact_store import ArtifactStore
from registry.artifacts import Manifest
from registry.errors import Invalid, TrainingFailed
from registry.lifecycle import AdapterStatus
from registry.records import AdapterVersion
from registry.settings import Settings
from registry.store import Store, open_store
from tests.records import adapter_version, fine_tuning_job
from tests.unit.trainer.bench import Run
from trainer.continuation import Parent, adopt, find_parent
from trainer.language_model import identity, load_adapter, load_base
from trainer.reproduce import lay_out_parent
from trainer.techniques import load_trainable
from trainer.workplace import Workplace

NAME = "ft:tiny-base:default::1"
PARENT = Parent(name=NAME, manifest_sha256="0", base_sha256="0", rank=4, alpha=8)


@pytest.fixture(scope="module")
def parent(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a trained run."""
    run = Run(nano, tmp_path_factory.mktemp("parent") / "run")
    run.prepare({})
    run.train()
    return run


def published(run: Run, settings: Settings) -> AdapterVersion:
    """Publish a run's adapter, and return its record."""
    manifest = Manifest(
        name=NAME,
        job_id=None,
        base_model="nano",
        base_sha256=identity(run.plan),
        training_sha256=None,
        validation_sha256=None,
        hyperparameters={},
        seed=None,
        step=None,
        libraries={},
        probe=[],
        metrics={},
        created_at=1,
    )
    staged = settings.data_dir / "staged"
    _copy(run.published, staged)
    done = ArtifactStore(settings).publish(staged, "parent", manifest)
    return adapter_version(NAME, directory="parent", manifest_sha256=done.manifest_sha256)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def continued(parent: Run, root: Path, training: dict[str, Any], **changes: Any) -> Run:
    """Return a run that goes on from another's adapter."""
    run = Run(parent.base, root)
    run.prepare(training)
    _copy(parent.published, run.place.parent)
    run.plan = msgspec.structs.replace(
        run.plan, parent=NAME, parent_base_sha256=identity(run.plan), **changes
    )
    return run


@pytest.mark.parametrize("technique", ["lora", "qlora"])
def test_training_goes_on_from_the_parents_loss(
    parent: Run, tmp_path: Path, technique: str
) -> None:
    """After its first step a continuation is nearer to the parent's last validation loss.

    Losses on the same held-out rows: those of single batches differ more than training does.
    """
    run = continued(parent, tmp_path / "run", {"technique": technique})
    run.train()
    began, first = parent.result.history[0].valid_loss, run.result.history[0].valid_loss
    ended = parent.result.history[-1].valid_loss
    assert began is not None
    assert first is not None
    assert ended is not None
    assert first - ended < began - first


def test_a_continuation_starts_as_its_parent(parent: Run, tmp_path: Path) -> None:
    """Before its first step a continuation gives the parent's answers."""
    run = continued(parent, tmp_path / "run", {})
    served = load_adapter(load_base(str(run.base), torch.float32), parent.published)
    token_ids = torch.arange(20, 60)[None]
    with torch.no_grad():
        begun = load_trainable(run.plan, run.place).eval()(token_ids).logits
        assert torch.allclose(begun, served.eval()(token_ids).logits, atol=1e-5)


def test_weights_move_on(parent: Run, tmp_path: Path) -> None:
    """A continuation publishes other weights of the same shapes."""
    run = continued(parent, tmp_path / "run", {})
    run.train()
    before, after = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (parent.published, run.published)
    )
    assert {name: tensor.shape for name, tensor in before.items()} == {
        name: tensor.shape for name, tensor in after.items()
    }
    assert not any(torch.equal(before[name], after[name]) for name in before)


def test_another_base_model_is_refused(parent: Run, tmp_path: Path) -> None:
    """A base model whose files changed since the parent was trained fails the job."""
    run = continued(parent, tmp_path / "run", {})
    run.plan = msgspec.structs.replace(run.plan, parent_base_sha256="f" * 64)
    with pytest.raises(TrainingFailed, match="files differ") as caught:
        run.train()
    assert caught.value.code == "base_model_changed"


def test_a_parent_is_copied_with_its_shape(parent: Run, tmp_path: Path) -> None:
    """The job's folder gets the parent's files, and the plan its rank and alpha."""
    settings = Settings(data_dir=tmp_path / "data")
    version = published(parent, settings)
    found = adopt(version, ArtifactStore(settings), tmp_path / "parent")
    assert (found.rank, found.alpha, found.base_sha256) == (4, 8, identity(parent.plan))
    assert len(list((tmp_path / "parent").iterdir())) == 2


def test_a_damaged_parent_is_refused(parent: Run, tmp_path: Path) -> None:
    """A parent whose bytes are not what was published is not trained on."""
    settings = Settings(data_dir=tmp_path / "data")
    version = published(parent, settings)
    (settings.adapters_dir / "parent" / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(TrainingFailed, match="checksum") as caught:
        adopt(version, ArtifactStore(settings), tmp_path / "parent")
    assert caught.value.code == "parent_unavailable"


def test_the_parents_shape_is_kept() -> None:
    """Rank and alpha come from the parent; asking for others is refused by name."""
    assert PARENT.requested({"lora_rank": "auto", "n_epochs": 2}) == {
        "lora_rank": 4,
        "lora_alpha": 8,
        "n_epochs": 2,
    }
    with pytest.raises(TrainingFailed, match="'lora_rank' is 4") as caught:
        PARENT.requested({"lora_rank": 8})
    assert caught.value.param == "hyperparameters.lora_rank"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": AdapterStatus.DELETED}, "it is deleted"),
        ({"status": AdapterStatus.REJECTED}, "it is rejected"),
        ({"base_model": "other"}, "base model 'other'"),
        ({"project": "theirs"}, "does not exist"),
    ],
)
async def test_a_parent_that_cannot_serve_is_refused(
    store: Store, changes: dict[str, Any], words: str
) -> None:
    """A version that is gone, rejected, of another base or project is no parent."""
    await store.adapters.add_import(adapter_version(NAME, **changes), same_bytes="none")
    with pytest.raises(TrainingFailed, match=words) as caught:
        await find_parent(store, fine_tuning_job("ftjob-1", model=NAME), "tiny-base")
    assert (caught.value.code, caught.value.param) == ("parent_unavailable", "model")


async def test_what_a_job_went_on_from_is_there_when_it_is_trained_again(
    parent: Run, tmp_path: Path
) -> None:
    """Training again begins with the parent's own files, and with no others of its name."""
    settings = Settings(data_dir=tmp_path / "data")
    version = published(parent, settings)
    store = await open_store(settings)
    await store.adapters.add_import(version, same_bytes="0")
    await store.close()
    known = version.manifest_sha256
    plan = msgspec.structs.replace(parent.plan, parent=NAME, parent_sha256=known)
    place = Workplace(tmp_path / "again")
    await lay_out_parent(settings, plan, place)
    weights = (place.parent / "adapter_model.safetensors").read_bytes()
    assert weights == (parent.published / "adapter_model.safetensors").read_bytes()
    with pytest.raises(Invalid, match="is not the version"):
        await lay_out_parent(settings, msgspec.structs.replace(plan, parent_sha256="0"), place)
    with pytest.raises(Invalid, match="cannot be had"):
        await lay_out_parent(settings, msgspec.structs.replace(plan, parent="ft:gone"), place)
