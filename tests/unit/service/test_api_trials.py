"""`/v1/deployments`: ramps, shadows, units and the history of all of it."""

import time
from typing import Any

import httpx
import pytest

from registry.lifecycle import AdapterStatus
from registry.records import Scope
from registry.store import Store
from tests.service_api import Connect, add_version

PATH = "/v1/deployments"
SUPPORT = f"{PATH}/support"


async def create(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Create a deployment of the base model."""
    body = {"name": "support", "stable": "tiny-base", **changes}
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def update(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Change the deployment."""
    answer = await client.patch(SUPPORT, json=changes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(client: httpx.AsyncClient, **changes: Any) -> str | None:
    """Return the parameter at fault in a change."""
    answer = await client.patch(SUPPORT, json=changes)
    assert answer.status_code == 400, answer.text
    param: str | None = answer.json()["error"]["param"]
    return param


async def on_trial(client: httpx.AsyncClient, store: Store, **changes: Any) -> str:
    """Create a deployment with a candidate, and return the candidate's name."""
    name = (await add_version(store)).name
    await create(client, candidate=name, **changes)
    return name


async def test_a_plan_of_a_ramp_is_shown_as_its_steps(
    client: httpx.AsyncClient, store: Store
) -> None:
    """From the weight in force to the one asked for."""
    await on_trial(client, store, candidate_weight=0.1)
    found = await update(client, ramp={"to": 0.5, "seconds": 40, "steps": 4})
    start = found["ramp"][0]["at"]
    assert [(step["at"] - start, step["weight"]) for step in found["ramp"]] == [
        (0, 0.1),
        (10, 0.2),
        (20, 0.3),
        (30, 0.4),
        (40, 0.5),
    ]
    assert (found["candidate_weight"], found["weight_now"]) == (0.1, 0.1)


async def test_a_ramp_may_be_a_list_of_steps(client: httpx.AsyncClient, store: Store) -> None:
    """The weight in force is that of the last step that passed."""
    now = int(time.time())
    steps = [{"at": now - 1, "weight": 0.2}, {"at": now + 3600, "weight": 1.0}]
    await on_trial(client, store, ramp=steps)
    found = (await client.get(SUPPORT)).json()
    assert found["ramp"] == steps
    assert (found["candidate_weight"], found["weight_now"]) == (0.0, 0.2)


async def test_a_ramp_begins_with_its_candidate(client: httpx.AsyncClient, store: Store) -> None:
    """One request starts the trial and its ramp."""
    await create(client)
    name = (await add_version(store)).name
    found = await update(client, candidate=name, ramp={"to": 1.0, "seconds": 3600, "steps": 60})
    assert (found["candidate"], found["weight_now"], len(found["ramp"])) == (name, 0.0, 61)


async def test_a_ramp_needs_a_candidate(client: httpx.AsyncClient) -> None:
    """Nobody would be brought in."""
    await create(client)
    assert await refused(client, ramp={"to": 1.0, "seconds": 60}) == "ramp"


@pytest.mark.parametrize(
    "ramp",
    [
        [{"at": 60, "weight": 1.0}],
        {"to": 2.0, "seconds": 60},
        {"to": 1.0, "seconds": 60, "steps": 1000},
        {"from": 0.1, "to": 1.0, "seconds": 60},
        {"to": 1.0, "seconds": 10**30},
        {"to": 1.0, "seconds": 60, "start_at": 10**30},
        {"to": 1.0, "seconds": 60, "start_at": -(10**30)},
        [{"at": 10**30, "weight": 1.0}],
    ],
)
async def test_a_ramp_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, store: Store, ramp: object
) -> None:
    """Relative times, weights above 1, too many steps, a fall that was not asked for."""
    await on_trial(client, store, candidate_weight=0.5)
    assert await refused(client, ramp=ramp) == "ramp"


async def test_a_ramp_may_fall_where_that_is_said(client: httpx.AsyncClient, store: Store) -> None:
    """A trial can be wound down."""
    await on_trial(client, store, candidate_weight=1.0)
    found = await update(client, ramp={"to": 0, "seconds": 60, "steps": 2}, ramp_may_fall=True)
    assert [step["weight"] for step in found["ramp"]] == [1.0, 0.5, 0.0]


async def test_a_new_weight_ends_a_ramp(client: httpx.AsyncClient, store: Store) -> None:
    """Whoever sets the weight means it."""
    await on_trial(client, store, ramp={"from": 0.4, "to": 1.0, "seconds": 3600})
    found = await update(client, candidate_weight=0.3)
    assert (found["ramp"], found["weight_now"]) == ([], 0.3)


async def test_a_null_ends_a_ramp_where_it_is(client: httpx.AsyncClient, store: Store) -> None:
    """No unit changes its arm because of the request."""
    await on_trial(client, store, ramp={"from": 0.4, "to": 1.0, "seconds": 3600})
    found = await update(client, ramp=None)
    assert (found["ramp"], found["candidate_weight"], found["weight_now"]) == ([], 0.4, 0.4)


async def test_a_new_candidate_ends_a_ramp(client: httpx.AsyncClient, store: Store) -> None:
    """It was the other's."""
    await on_trial(client, store, ramp={"from": 0.4, "to": 1.0, "seconds": 3600})
    found = await update(client, candidate=(await add_version(store)).name)
    assert (found["ramp"], found["weight_now"]) == ([], 0.0)


@pytest.mark.parametrize("action", ["promote", "rollback"])
async def test_promotion_and_rollback_end_a_ramp(
    client: httpx.AsyncClient, store: Store, action: str
) -> None:
    """The trial is over."""
    stable = (await add_version(store)).name
    await create(client, candidate=stable)
    await client.post(f"{SUPPORT}/promote", json={"override_reason": "test"})
    candidate = (await add_version(store)).name
    await update(client, candidate=candidate, ramp={"to": 1.0, "seconds": 3600})
    body = {"override_reason": "test"} if action == "promote" else {}
    found = (await client.post(f"{SUPPORT}/{action}", json=body)).json()
    assert (found["candidate"], found["ramp"], found["weight_now"]) == (None, [], 0.0)


async def test_other_changes_leave_a_ramp_alone(client: httpx.AsyncClient, store: Store) -> None:
    """A new shadow is no new weight."""
    await on_trial(client, store, ramp={"to": 1.0, "seconds": 3600})
    before = (await client.get(SUPPORT)).json()["ramp"]
    shadow = (await add_version(store)).name
    assert (await update(client, shadow=shadow, shadow_share=0.1))["ramp"] == before


async def test_a_shadow_is_shown(client: httpx.AsyncClient, store: Store) -> None:
    """And goes with a null."""
    await create(client)
    name = (await add_version(store)).name
    found = await update(client, shadow=name, shadow_share=0.2)
    assert (found["shadow"], found["shadow_share"]) == (name, 0.2)
    found = await update(client, shadow=None)
    assert (found["shadow"], found["shadow_share"]) == (None, 0.0)


async def test_a_shadow_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The field at fault is named."""
    await create(client)
    name = (await add_version(store)).name
    assert await refused(client, shadow=name) == "shadow_share"
    assert await refused(client, shadow=name, shadow_share=1.5) == "shadow_share"
    assert await refused(client, shadow_share=0.5) == "shadow_share"
    assert await refused(client, shadow="tiny-base", shadow_share=0.5) == "shadow"


@pytest.mark.parametrize("status", [AdapterStatus.REJECTED, AdapterStatus.RETIRED])
async def test_a_shadow_that_cannot_serve_is_refused(
    client: httpx.AsyncClient, store: Store, status: AdapterStatus
) -> None:
    """As a candidate is."""
    await create(client)
    name = (await add_version(store, status=status)).name
    answer = await client.patch(SUPPORT, json={"shadow": name, "shadow_share": 0.5})
    assert answer.status_code == 409


async def test_another_projects_version_is_no_shadow(
    client: httpx.AsyncClient, store: Store
) -> None:
    """It is not found."""
    await create(client)
    name = (await add_version(store, project="other")).name
    answer = await client.patch(SUPPORT, json={"shadow": name, "shadow_share": 0.5})
    assert answer.status_code == 404


async def test_a_shadow_that_becomes_stable_is_no_shadow_any_more(
    client: httpx.AsyncClient, store: Store
) -> None:
    """There is nothing left to compare it with."""
    name = await on_trial(client, store)
    await update(client, shadow=name, shadow_share=0.5)
    body = {"override_reason": "test"}
    found = (await client.post(f"{SUPPORT}/promote", json=body)).json()
    assert (found["stable"], found["shadow"], found["shadow_share"]) == (name, None, 0.0)


async def test_the_units_places_are_shown(client: httpx.AsyncClient) -> None:
    """The default ones, those that were chosen, and the default ones again."""
    default = ["safety_identifier", "user", "header:x-graftline-unit"]
    assert (await create(client))["unit_from"] == default
    chosen = ["metadata.conversation", "header:X-Session"]
    assert (await update(client, unit_from=chosen))["unit_from"] == [
        "metadata.conversation",
        "header:x-session",
    ]
    assert (await update(client, unit_from=None))["unit_from"] == default


async def test_a_place_that_can_hold_no_unit_is_refused(client: httpx.AsyncClient) -> None:
    """Such as the conversation itself."""
    await create(client)
    assert await refused(client, unit_from=["messages"]) == "unit_from"


async def test_every_change_is_in_the_history(client: httpx.AsyncClient, store: Store) -> None:
    """With who, why, and all that held after it."""
    name = await on_trial(client, store, reason="first")
    shadow = (await add_version(store)).name
    await update(
        client,
        ramp={"from": 0.5, "to": 1.0, "seconds": 10, "steps": 1},
        shadow=shadow,
        shadow_share=0.1,
        unit_from=["user"],
        reason="second",
    )
    await client.post(f"{SUPPORT}/promote", json={"override_reason": "third"})
    await client.post(f"{SUPPORT}/rollback", json={"reason": "fourth"})
    await client.delete(SUPPORT, params={"reason": "fifth"})
    changes = (await client.get(f"{SUPPORT}/history")).json()["data"]
    assert [(change["action"], change["reason"]) for change in reversed(changes)] == [
        ("create", "first"),
        ("update", "second"),
        ("promote", "third"),
        ("rollback", "fourth"),
        ("delete", "fifth"),
    ]
    second = changes[3]
    assert (second["candidate"], second["shadow"], second["shadow_share"]) == (name, shadow, 0.1)
    assert [step["weight"] for step in second["ramp"]] == [0.5, 1.0]
    assert second["unit_from"] == ["user"]
    assert [change["is_override"] for change in changes] == [False, False, True, False, False]
    assert {change["actor"] for change in changes} == {changes[0]["actor"]}


async def test_the_history_comes_in_pages(client: httpx.AsyncClient) -> None:
    """The next one follows the last change's id; the full object shows the newest ones."""
    await create(client)
    for number in range(24):
        await update(client, reason=str(number))
    first = (await client.get(f"{SUPPORT}/history", params={"limit": 20})).json()
    after = {"after": first["data"][-1]["id"]}
    second = (await client.get(f"{SUPPORT}/history", params=after)).json()
    assert (first["has_more"], second["has_more"]) == (True, False)
    generations = [change["generation"] for change in first["data"] + second["data"]]
    assert generations == list(range(25, 0, -1))
    assert (await client.get(SUPPORT)).json()["history"] == first["data"]


@pytest.mark.parametrize("after", ["change-999", "change-x", "-1", "change-" + "9" * 30])
async def test_an_unknown_place_in_the_history_is_404(
    client: httpx.AsyncClient, after: str
) -> None:
    """Whatever was made up."""
    await create(client)
    answer = await client.get(f"{SUPPORT}/history", params={"after": after})
    assert answer.status_code == 404


async def test_the_history_is_the_projects_own(client: httpx.AsyncClient, connect: Connect) -> None:
    """Another project's key finds none, and no place in it."""
    await create(client)
    first = (await client.get(f"{SUPPORT}/history")).json()["data"][0]["id"]
    async with await connect(Scope.TRAINING, project="other") as stranger:
        assert (await stranger.get(f"{SUPPORT}/history")).status_code == 404
        answer = await stranger.get(f"{SUPPORT}/history", params={"after": first})
        assert answer.status_code == 404


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2001])
async def test_a_reason_says_something(client: httpx.AsyncClient, reason: str) -> None:
    """In at most 2,000 characters."""
    await create(client)
    assert await refused(client, reason=reason) == "reason"


async def test_an_override_and_a_reason_are_both_recorded(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Neither is lost."""
    await on_trial(client, store)
    body = {"override_reason": "The chief said so.", "reason": "Release 7."}
    found = (await client.post(f"{SUPPORT}/promote", json=body)).json()
    assert found["history"][0]["reason"] == "The chief said so.\nRelease 7."


@pytest.mark.parametrize("action", ["promote", "rollback"])
async def test_a_change_of_an_older_generation_is_refused(
    client: httpx.AsyncClient, store: Store, action: str
) -> None:
    """What is promoted is the candidate that the caller saw."""
    await on_trial(client, store)
    await update(client, candidate_weight=0.5)
    answer = await client.post(f"{SUPPORT}/{action}", json={"generation": 1})
    assert answer.status_code == 409
    assert "generation" in answer.json()["error"]["message"]
