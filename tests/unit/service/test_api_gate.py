"""The gate: verdicts tied to weights, rows and policy, and stale when one of them changes."""

from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from registry.blobs import Blobs
from registry.lifecycle import EvaluationStatus
from registry.policy import Policy
from registry.records import AdapterVersion, Evaluation, Verdict
from registry.settings import Settings
from registry.store import Store
from service.staleness import stale_reason
from tests.service_api import add_version

ROWS = b'{"prompt": "a", "completion": "b"}\n'
HELDOUT = "file-gate"


async def _judged(store: Store, version: AdapterVersion, **policy: Any) -> Evaluation:
    """Record a `go` on `ROWS` under a policy."""
    evaluation = Evaluation(
        id=f"eval-{uuid4().hex[:24]}",
        project="default",
        adapter=version.name,
        heldout_file=HELDOUT,
        training_file=None,
        policy=msgspec.to_builtins(Policy(**policy)),
        status=EvaluationStatus.QUEUED,
        created_at=1,
    )
    await store.evaluations.add(evaluation)
    await store.evaluations.move(evaluation.id, EvaluationStatus.RUNNING)
    hashes = {"adapter": version.manifest_sha256, "heldout": sha256(ROWS).hexdigest()}
    return await store.evaluations.move(
        evaluation.id,
        EvaluationStatus.SUCCEEDED,
        verdict=Verdict.GO,
        results={"hashes": hashes},
    )


async def _promote(client: httpx.AsyncClient, name: str, **body: Any) -> httpx.Response:
    made = {"name": "gate", "stable": "tiny-base", "candidate": name}
    answer = await client.post("/v1/deployments", json=made)
    assert answer.status_code == 200, answer.text
    return await client.post("/v1/deployments/gate/promote", json=body)


async def test_a_verdict_holds_while_nothing_changes(
    client: httpx.AsyncClient, store: Store, settings: Settings
) -> None:
    """The same weights and the same rows: promoted."""
    version = await add_version(store)
    await _judged(store, version)
    Blobs(settings.files_dir).write(HELDOUT, ROWS)
    assert (await _promote(client, version.name)).status_code == 200


@pytest.mark.parametrize(("rows", "words"), [(ROWS * 2, "changed since"), (None, "are gone")])
async def test_changed_rows_make_a_verdict_stale(
    client: httpx.AsyncClient,
    store: Store,
    settings: Settings,
    rows: bytes | None,
    words: str,
) -> None:
    """Promotion refuses with that reason."""
    version = await add_version(store)
    await _judged(store, version)
    if rows is not None:
        Blobs(settings.files_dir).write(HELDOUT, rows)
    error = (await _promote(client, version.name)).json()["error"]
    assert error["code"] == "not_promotable"
    assert "its verdict is stale" in error["message"]
    assert words in error["message"]


async def test_a_stale_verdict_can_be_overridden(client: httpx.AsyncClient, store: Store) -> None:
    """With a reason, which the history keeps."""
    version = await add_version(store)
    await _judged(store, version)
    answer = await _promote(client, version.name, override_reason="The rows were private.")
    assert answer.status_code == 200
    history = (await client.get("/v1/deployments/gate/history")).json()["data"]
    assert "The rows were private." in history[0]["reason"]


async def _reason(store: Store, settings: Settings, folder: Path, text: str | None) -> str | None:
    """Return why a verdict under the default policy is stale under a policy file."""
    version = await add_version(store)
    evaluation = await _judged(store, version)
    Blobs(settings.files_dir).write(HELDOUT, ROWS)
    path = folder / "policy.yaml"
    if text is not None:
        path.write_text(text, "utf-8")
    changed = settings.model_copy(update={"policy_file": path})
    return await stale_reason(
        version, evaluation, blobs=Blobs(settings.files_dir), settings=changed
    )


async def test_a_changed_policy_makes_a_verdict_stale(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Each field that differs is named, with both values."""
    why = await _reason(store, settings, tmp_path, "smallest_effect: 0.1\n")
    assert why is not None
    assert "smallest_effect was 0.02, is 0.1" in why


async def test_the_same_policy_keeps_a_verdict(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """A file that says what the default says changes nothing."""
    assert await _reason(store, settings, tmp_path, "smallest_effect: 0.02\n") is None


async def test_a_policy_that_cannot_be_read_makes_a_verdict_stale(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Without its rule a verdict is worth nothing, and the operator is told what to mend."""
    why = await _reason(store, settings, tmp_path, None)
    assert why is not None
    assert "GRAFTLINE_POLICY_FILE" in why


async def test_a_policy_of_other_fields_is_stale(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """A verdict of an older release, with fields that are gone, is compared without a crash."""
    version = await add_version(store)
    evaluation = msgspec.structs.replace(await _judged(store, version), policy={"gone": 1})
    Blobs(settings.files_dir).write(HELDOUT, ROWS)
    path = tmp_path / "policy.yaml"
    path.write_text("", "utf-8")
    changed = settings.model_copy(update={"policy_file": path})
    why = await stale_reason(version, evaluation, blobs=Blobs(settings.files_dir), settings=changed)
    assert why is not None
    assert "no policy has now" in why
