"""`/v1/evaluations` and `/v1/feedback`: evidence from exams and from users."""

from typing import Any

import httpx
import pytest

from registry.lifecycle import AdapterStatus
from registry.records import Arm, EvaluationRow, Interaction, Scope, Verdict
from registry.store import Store
from service.front import Front
from tests import records
from tests.service_api import Connect, add_version, judge, refuse, uploaded

EVALUATIONS = "/v1/evaluations"
FEEDBACK = "/v1/feedback"


def interaction(**changes: Any) -> Interaction:
    """Return an answered request of the deployment `support`."""
    seen = {"deployment": "support", "arm": Arm.STABLE, "unit_hash": "u1"}
    return records.interaction(**(seen | changes))


async def test_an_evaluation_waits_with_the_whole_policy(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The rule of the verdict is fixed before the run."""
    heldout = await uploaded(client, purpose="evals")
    version = await add_version(store, heldout_file=heldout)
    body = {"model": version.name, "policy": {"min_rows": 10}}
    made = (await client.post(EVALUATIONS, json=body)).json()
    assert (made["status"], made["heldout_file"], made["verdict"]) == ("queued", heldout, None)
    assert made["policy"]["min_rows"] == 10
    assert made["policy"]["primary_metric"] == "exact_match"
    assert (await client.get(f"{EVALUATIONS}/{made['id']}")).json() == made


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({}, "heldout_file"),
        ({"heldout_file": "file-none"}, "heldout_file"),
        ({"policy": {"colour": "blue"}}, "policy"),
        ({"policy": {"alpha": 2}}, "policy.alpha"),
        ({"training_file": "file-none"}, "training_file"),
    ],
)
async def test_an_evaluation_at_fault_is_refused(
    client: httpx.AsyncClient, store: Store, changes: dict[str, Any], param: str
) -> None:
    """The parameter is named."""
    heldout = None if param == "heldout_file" else await uploaded(client, purpose="evals")
    version = await add_version(store, heldout_file=heldout)
    answer = await client.post(EVALUATIONS, json={"model": version.name, **changes})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


async def test_only_adapter_versions_are_examined(client: httpx.AsyncClient, store: Store) -> None:
    """Neither the base model nor a rejected version."""
    rejected = await add_version(store, status=AdapterStatus.REJECTED)
    base = await client.post(EVALUATIONS, json={"model": "tiny-base"})
    bad = await client.post(EVALUATIONS, json={"model": rejected.name})
    assert (base.status_code, bad.status_code) == (404, 409)


async def test_results_and_rows_are_shown(client: httpx.AsyncClient, store: Store) -> None:
    """A finished evaluation shows its verdict; its rows stand on their own."""
    version = await add_version(store)
    done = await judge(store, version, Verdict.GO)
    row = EvaluationRow(evaluation_id=done.id, arm="base", row=0, output="x", scores={"loss": 1.0})
    await store.evaluations.add_row(row)
    listed = (await client.get(EVALUATIONS, params={"model": version.name})).json()["data"]
    assert [(each["id"], each["verdict"]) for each in listed] == [(done.id, "go")]
    rows = (await client.get(f"{EVALUATIONS}/{done.id}/rows")).json()["data"]
    assert [(each["arm"], each["scores"]) for each in rows] == [("base", {"loss": 1.0})]


async def test_a_refused_verdict_has_a_code(client: httpx.AsyncClient, store: Store) -> None:
    """An exam without a verdict says by a code why, and its figures are there."""
    refused = await refuse(store, await add_version(store))
    found = (await client.get(f"{EVALUATIONS}/{refused.id}")).json()
    assert (found["status"], found["verdict"]) == ("failed", None)
    assert found["error_code"] == "too_many_unscored"
    assert found["results"]["hashes"]


async def test_another_projects_evaluation_is_not_found(
    client: httpx.AsyncClient, store: Store
) -> None:
    """Nor its rows."""
    done = await judge(store, await add_version(store, project="other"), Verdict.GO)
    assert (await client.get(f"{EVALUATIONS}/{done.id}")).status_code == 404
    assert (await client.get(f"{EVALUATIONS}/{done.id}/rows")).status_code == 404


async def test_feedback_reaches_an_interaction_that_is_not_stored_yet(
    app: Front, client: httpx.AsyncClient, store: Store
) -> None:
    """A fast user's judgement is not lost to the writer's delay."""
    app.state.services.interaction_log.record(interaction())
    answer = await client.post(FEEDBACK, json={"interaction_id": "chatcmpl-1", "score": 0.75})
    assert answer.status_code == 200
    assert [each.score for each in await store.interactions.feedback(project="default")] == [0.75]


async def test_a_second_judgement_replaces_the_first(
    client: httpx.AsyncClient, store: Store
) -> None:
    """One interaction has one judgement, under one id, counted once."""
    await store.interactions.add_many([interaction()])
    body = {"interaction_id": "chatcmpl-1", "label": "up"}
    first = (await client.post(FEEDBACK, json=body)).json()
    second = (await client.post(FEEDBACK, json={**body, "label": "down"})).json()
    assert (first["score"], second["score"]) == (1.0, 0.0)
    assert first["id"] == second["id"]
    figures = (await client.get("/metrics")).text
    counted = [line for line in figures.splitlines() if line.startswith("graftline_feedback_total")]
    assert len(counted) == 1
    assert counted[0].endswith(" 1.0")


async def test_the_deployment_shows_scores_by_arm(client: httpx.AsyncClient, store: Store) -> None:
    """Each mean stands beside its n and its interval."""
    await client.post("/v1/deployments", json={"name": "support", "stable": "tiny-base"})
    await store.interactions.add_many([interaction(), interaction(id="chatcmpl-2", unit_hash="u2")])
    await client.post(FEEDBACK, json={"interaction_id": "chatcmpl-1", "score": 0.5})
    arms = (await client.get("/v1/deployments/support")).json()["arms"]
    assert arms == [
        {
            "arm": "stable",
            "model": "tiny-base",
            "interactions": 2,
            "units": 2,
            "feedback": 1,
            "mean_score": 0.5,
            "score_low": pytest.approx(0.0546, abs=1e-4),
            "score_high": pytest.approx(0.9454, abs=1e-4),
        }
    ]


@pytest.mark.parametrize(
    "changes", [{}, {"score": 1.1}, {"score": -1}, {"score": True}, {"label": ""}]
)
async def test_a_score_that_is_none_is_refused(
    client: httpx.AsyncClient, store: Store, changes: dict[str, Any]
) -> None:
    """The parameter is named."""
    await store.interactions.add_many([interaction()])
    answer = await client.post(FEEDBACK, json={"interaction_id": "chatcmpl-1", **changes})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "score"


async def test_feedback_on_the_unknown_is_not_found(
    client: httpx.AsyncClient, connect: Connect, store: Store
) -> None:
    """And another project's interaction is unknown."""
    await store.interactions.add_many([interaction()])
    body = {"interaction_id": "chatcmpl-0", "score": 1}
    assert (await client.post(FEEDBACK, json=body)).status_code == 404
    async with await connect(Scope.INFERENCE, project="other") as stranger:
        body = {"interaction_id": "chatcmpl-1", "score": 1}
        assert (await stranger.post(FEEDBACK, json=body)).status_code == 404
