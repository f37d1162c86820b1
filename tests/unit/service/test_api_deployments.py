"""`/v1/deployments`: names, trials, promotion and rollback."""

import asyncio
from typing import Any

import httpx
import pytest

from registry.lifecycle import AdapterStatus
from registry.records import Scope, Verdict
from registry.store import Store
from tests.service_api import Connect, add_version, judge, refuse

PATH = "/v1/deployments"


async def create(client: httpx.AsyncClient, **changes: Any) -> httpx.Response:
    """Ask for a deployment of the base model."""
    return await client.post(PATH, json={"name": "support", "stable": "tiny-base", **changes})


async def test_a_new_deployment_can_be_asked_for_at_once(client: httpx.AsyncClient) -> None:
    """It is routed before it is answered: the engine is what is missing, not the name."""
    assert (await create(client)).status_code == 200
    body = {"model": "support", "messages": [{"role": "user", "content": "Hi"}]}
    answer = await client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


@pytest.mark.parametrize("name", ["", "a b", "../x", "ft:tiny-base:default::1", "-x", "x" * 65])
async def test_a_name_that_is_none_is_refused(client: httpx.AsyncClient, name: str) -> None:
    """A deployment can never be taken for an adapter version."""
    answer = await create(client, name=name)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "name"


async def test_the_base_models_name_is_taken(client: httpx.AsyncClient) -> None:
    """A deployment may not hide the base model."""
    assert (await create(client, name="tiny-base")).status_code == 409


async def test_a_name_is_taken_once(client: httpx.AsyncClient) -> None:
    """The second deployment of a name is refused."""
    await create(client)
    assert (await create(client)).status_code == 409


async def test_two_projects_may_use_the_same_name(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """Names are a project's own."""
    await create(client)
    async with await connect(Scope.TRAINING, project="other") as stranger:
        assert (await stranger.get(f"{PATH}/support")).status_code == 404
        assert (await create(stranger)).status_code == 200


async def test_an_unknown_version_is_not_found(client: httpx.AsyncClient) -> None:
    """A deployment never points at nothing."""
    answer = await create(client, candidate="ft:tiny-base:default:x:00000000")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_another_projects_version_is_not_found(
    client: httpx.AsyncClient, store: Store
) -> None:
    """A project serves its own versions only."""
    version = await add_version(store, project="other")
    assert (await create(client, candidate=version.name)).status_code == 404


@pytest.mark.parametrize("status", [AdapterStatus.REJECTED, AdapterStatus.RETIRED])
async def test_a_version_that_cannot_serve_is_refused(
    client: httpx.AsyncClient, store: Store, status: AdapterStatus
) -> None:
    """The answer says why."""
    version = await add_version(store, status=status)
    answer = await create(client, candidate=version.name)
    assert answer.status_code == 409
    assert status in answer.json()["error"]["message"]


async def test_a_trial_needs_no_verdict(client: httpx.AsyncClient, store: Store) -> None:
    """A candidate may meet half the units before it is judged."""
    version = await add_version(store)
    weights = {"stable": 0.5, "candidate": 0.5}
    found = (await create(client, candidate=version.name, weights=weights)).json()
    assert (found["candidate"], found["candidate_weight"]) == (version.name, 0.5)
    assert found["weights"] == weights


@pytest.mark.parametrize(
    "changes",
    [
        {"candidate_weight": 1.5},
        {"candidate_weight": -0.1},
        {"weights": {"stable": 0.5, "candidate": 0.6}},
        {"weights": {"stable": 0.5, "candidate": 0.5}, "candidate_weight": 0.5},
        {"weights": {"stable": 2, "candidate": -1}},
        {"candidate": "tiny-base"},
    ],
)
async def test_weights_that_make_no_sense_are_refused(
    client: httpx.AsyncClient, store: Store, changes: dict[str, Any]
) -> None:
    """Shares lie between 0 and 1, add up to 1, and need two different versions."""
    version = await add_version(store)
    answer = await create(client, **{"candidate": version.name, **changes})
    assert answer.status_code == 400


async def test_a_weight_without_a_candidate_is_refused(client: httpx.AsyncClient) -> None:
    """Nobody would answer that share."""
    assert (await create(client, candidate_weight=0.5)).status_code == 400


@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_an_update_changes_the_weight(
    client: httpx.AsyncClient, store: Store, method: str
) -> None:
    """And counts a generation."""
    version = await add_version(store)
    await create(client, candidate=version.name)
    answer = await client.request(method, f"{PATH}/support", json={"candidate_weight": 0.25})
    found = answer.json()
    assert (found["candidate_weight"], found["generation"]) == (0.25, 2)


async def test_a_null_candidate_ends_the_trial(client: httpx.AsyncClient, store: Store) -> None:
    """All units meet the stable version again."""
    version = await add_version(store)
    await create(client, candidate=version.name, candidate_weight=0.5)
    found = (await client.patch(f"{PATH}/support", json={"candidate": None})).json()
    assert (found["candidate"], found["candidate_weight"]) == (None, 0.0)


async def test_a_new_trial_draws_its_units_anew(client: httpx.AsyncClient, store: Store) -> None:
    """A change of weight keeps every unit's place, a new candidate does not."""
    first, second = await add_version(store), await add_version(store)
    await create(client, candidate=first.name)
    before = await store.deployments.get("support", project="default")
    await client.patch(f"{PATH}/support", json={"candidate_weight": 0.5})
    during = await store.deployments.get("support", project="default")
    await client.patch(f"{PATH}/support", json={"candidate": second.name})
    after = await store.deployments.get("support", project="default")
    assert before.salt == during.salt != after.salt


async def test_stable_does_not_change_by_an_update(client: httpx.AsyncClient) -> None:
    """There is no way around the verdict."""
    await create(client)
    answer = await client.patch(f"{PATH}/support", json={"stable": "tiny-base"})
    assert answer.json()["error"]["param"] == "stable"


async def test_of_two_concurrent_updates_one_wins(client: httpx.AsyncClient, store: Store) -> None:
    """The other learns that it saw an older generation."""
    version = await add_version(store)
    await create(client, candidate=version.name)

    async def change(weight: float) -> int:
        body = {"candidate_weight": weight, "generation": 1}
        return (await client.patch(f"{PATH}/support", json=body)).status_code

    async with asyncio.TaskGroup() as group:
        updates = [group.create_task(change(weight)) for weight in (0.1, 0.9)]
    assert sorted(update.result() for update in updates) == [200, 409]


async def test_a_version_without_verdict_is_not_promoted(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The answer says what to do."""
    version = await add_version(store)
    await create(client, candidate=version.name)
    answer = await client.post(f"{PATH}/support/promote")
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert error["code"] == "not_promotable"
    assert "override_reason" in error["message"]


@pytest.mark.parametrize("verdict", [Verdict.NO_GO, Verdict.INCONCLUSIVE])
async def test_a_version_with_a_bad_verdict_is_not_promoted(
    client: httpx.AsyncClient, store: Store, verdict: Verdict
) -> None:
    """Only `go` opens the door."""
    version = await add_version(store)
    await judge(store, version, Verdict.GO)
    await judge(store, version, verdict)
    await create(client, candidate=version.name)
    answer = await client.post(f"{PATH}/support/promote")
    assert answer.status_code == 409
    assert verdict in answer.json()["error"]["message"]


async def test_a_refused_verdict_promotes_nothing(client: httpx.AsyncClient, store: Store) -> None:
    """An exam that ended without a verdict opens no door."""
    version = await add_version(store)
    await refuse(store, version)
    await create(client, candidate=version.name)
    answer = await client.post(f"{PATH}/support/promote")
    assert answer.json()["error"]["code"] == "not_promotable"


async def test_a_verdict_on_other_weights_counts_for_nothing(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The evaluation names the manifest it examined."""
    version = await add_version(store)
    await judge(store, version, Verdict.GO, manifest_sha256="b" * 64)
    await create(client, candidate=version.name)
    assert (await client.post(f"{PATH}/support/promote")).status_code == 409


async def test_a_version_with_verdict_go_is_promoted(
    client: httpx.AsyncClient, store: Store
) -> None:
    """It becomes stable, and the trial ends."""
    version = await add_version(store)
    await judge(store, version, Verdict.GO)
    await create(client, candidate=version.name, candidate_weight=0.5)
    found = (await client.post(f"{PATH}/support/promote")).json()
    assert (found["stable"], found["candidate"]) == (version.name, None)
    assert found["candidate_weight"] == 0
    assert found["history"][0]["action"] == "promote"


async def test_an_override_is_recorded(client: httpx.AsyncClient, store: Store) -> None:
    """With its reason and the key that gave it."""
    version = await add_version(store)
    await create(client, candidate=version.name)
    body = {"override_reason": "The chief said so."}
    found = (await client.post(f"{PATH}/support/promote", json=body)).json()
    assert found["stable"] == version.name
    assert found["history"][0]["reason"] == "The chief said so."
    assert found["history"][0]["actor"].startswith("key-")


async def test_an_override_needs_a_reason(client: httpx.AsyncClient, store: Store) -> None:
    """Spaces are none."""
    version = await add_version(store)
    await create(client, candidate=version.name)
    answer = await client.post(f"{PATH}/support/promote", json={"override_reason": " "})
    assert answer.json()["error"]["param"] == "override_reason"


async def test_a_second_promotion_has_nothing_to_promote(
    client: httpx.AsyncClient, store: Store
) -> None:
    """A repeated request changes nothing."""
    version = await add_version(store)
    await judge(store, version, Verdict.GO)
    await create(client, candidate=version.name)
    await client.post(f"{PATH}/support/promote")
    assert (await client.post(f"{PATH}/support/promote")).status_code == 409


async def test_an_adapter_is_created_as_stable_only_with_verdict_go(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Creation is no way around the verdict either."""
    version = await add_version(store)
    assert (await create(client, stable=version.name)).status_code == 409
    await judge(store, version, Verdict.GO)
    assert (await create(client, stable=version.name)).status_code == 200


async def test_a_rollback_without_history_is_refused(client: httpx.AsyncClient) -> None:
    """There is nothing to go back to."""
    await create(client)
    assert (await client.post(f"{PATH}/support/rollback")).status_code == 409


async def test_rollbacks_lead_back_one_version_at_a_time(
    client: httpx.AsyncClient, store: Store
) -> None:
    """And never forward to the version that was rolled back."""
    await create(client)
    versions = [await add_version(store) for _ in range(2)]
    for version in versions:
        await client.patch(f"{PATH}/support", json={"candidate": version.name})
        await client.post(f"{PATH}/support/promote", json={"override_reason": "test"})
    back = [(await client.post(f"{PATH}/support/rollback")).json()["stable"] for _ in range(2)]
    assert back == [versions[0].name, "tiny-base"]
    assert (await client.post(f"{PATH}/support/rollback")).status_code == 409


async def test_a_rollback_to_a_retired_version_is_refused(
    client: httpx.AsyncClient, store: Store
) -> None:
    """A deployment never points at a version that is gone."""
    first, second = await add_version(store), await add_version(store)
    await create(client, stable=first.name, override_reason="test", candidate=second.name)
    await client.post(f"{PATH}/support/promote", json={"override_reason": "test"})
    assert (await client.delete(f"/v1/models/{first.name}")).status_code == 200
    answer = await client.post(f"{PATH}/support/rollback")
    assert answer.status_code == 409
    assert "retired" in answer.json()["error"]["message"]


async def test_a_deleted_deployment_is_gone(client: httpx.AsyncClient) -> None:
    """Its name answers nothing any more."""
    await create(client)
    assert (await client.delete(f"{PATH}/support")).json()["deleted"]
    assert (await client.get(f"{PATH}/support")).status_code == 404
    assert (await client.get(PATH)).json()["data"] == []


async def test_a_deployment_made_again_forgets_the_versions_before(
    client: httpx.AsyncClient, store: Store
) -> None:
    """A rollback never leads into the life of an earlier deployment of the same name."""
    version = await add_version(store)
    await create(client, stable=version.name, override_reason="test")
    await client.delete(f"{PATH}/support")
    await create(client)
    assert (await client.post(f"{PATH}/support/rollback")).status_code == 409
