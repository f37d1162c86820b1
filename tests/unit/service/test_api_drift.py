"""`/v1/deployments/{name}/drift`: what is known of a deployment's drift, and of nobody else's."""

import httpx

from registry.records import DriftState, Scope
from registry.store import Store
from tests.service_api import Connect
from tests.unit.registry.test_drift_store import report


async def deployed(client: httpx.AsyncClient) -> None:
    """Deploy the base model as `support`."""
    answer = await client.post("/v1/deployments", json={"name": "support", "stable": "tiny-base"})
    assert answer.status_code == 200, answer.text


async def test_a_report_is_shown_whole(client: httpx.AsyncClient, store: Store) -> None:
    """State, both samples, and each figure with its bounds and its rows."""
    await deployed(client)
    await store.drift.save(report())
    shown = (await client.get("/v1/deployments/support/drift")).json()
    assert (shown["object"], shown["deployment"]) == ("deployment.drift", "support")
    (version,) = shown["data"]
    assert (version["arm"], version["model"], version["state"]) == ("stable", "tiny-base", "act")
    assert version["reference"] == {"rows": 9, "since": 1.25, "until": 2.5}
    assert version["window"] == {"rows": 0, "since": None, "until": None}
    assert version["features"] == [
        {
            "feature": "messages",
            "kind": "number",
            "state": "act",
            "reason": "psi 0.3 is 0.2 or more.",
            "reference_rows": 9,
            "window_rows": 8,
            "rows_needed": None,
            "figures": [
                {
                    "statistic": "psi",
                    "value": 0.3,
                    "low": 0.1,
                    "high": 0.5,
                    "p_value": None,
                    "reference_rows": 9,
                    "window_rows": 8,
                }
            ],
        }
    ]


async def test_what_was_never_computed_is_unknown(client: httpx.AsyncClient) -> None:
    """The version is there, without a state: unknown is neither empty nor steady."""
    await deployed(client)
    (version,) = (await client.get("/v1/deployments/support/drift")).json()["data"]
    assert (version["model"], version["state"], version["computed_at"]) == ("tiny-base", None, None)
    assert (version["reference"], version["window"], version["features"]) == (None, None, [])


async def test_a_report_on_another_version_is_not_shown(
    client: httpx.AsyncClient, store: Store
) -> None:
    """One that was computed before the present version came."""
    await deployed(client)
    await store.drift.save(report(model="ft:before", state=DriftState.ACT))
    (version,) = (await client.get("/v1/deployments/support/drift")).json()["data"]
    assert version["state"] is None


async def test_another_projects_deployment_of_the_same_name_is_another(
    client: httpx.AsyncClient, store: Store, connect: Connect
) -> None:
    """Names are each project's own."""
    stranger = await connect(Scope.ADMIN, project="other")
    await deployed(client)
    await deployed(stranger)
    await store.drift.save(report())
    (version,) = (await stranger.get("/v1/deployments/support/drift")).json()["data"]
    assert version["state"] is None


async def test_a_deployment_that_is_not_there(client: httpx.AsyncClient) -> None:
    """Is answered with 404."""
    assert (await client.get("/v1/deployments/none/drift")).status_code == 404


async def test_a_key_for_inference_may_not_look(connect: Connect) -> None:
    """It is answered with 403."""
    client = await connect(Scope.INFERENCE)
    assert (await client.get("/v1/deployments/support/drift")).status_code == 403
