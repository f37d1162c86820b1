"""`/v1/webhook_endpoints`: who may be told of what, and what was told."""

import asyncio
from typing import Any

import httpx

from registry.lifecycle import JobStatus
from registry.records import JobEvent, Scope
from registry.store import Store
from tests.records import fine_tuning_job
from tests.service_api import Connect

PATH = "/v1/webhook_endpoints"
BODY: dict[str, Any] = {
    "name": "ours",
    "url": "https://hooks.example/x",
    "event_types": ["fine_tuning.job.failed"],
}


async def test_a_url_is_checked_whenever_it_is_set(client: httpx.AsyncClient) -> None:
    """When the endpoint is made and when it is changed."""
    url = "https://169.254.169.254/latest"
    assert (await client.post(PATH, json=BODY | {"url": url})).status_code == 400
    made = (await client.post(PATH, json=BODY)).json()
    assert (await client.post(f"{PATH}/{made['id']}", json={"url": url})).status_code == 400


async def test_an_endpoint_at_fault_is_refused(client: httpx.AsyncClient) -> None:
    """The error names the field."""
    faults: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, "name"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["response.completed"]}, "event_types"),
    ]
    for changes, param in faults:
        answer = await client.post(PATH, json=BODY | changes)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_secret_is_shown_once(client: httpx.AsyncClient) -> None:
    """In the answer that made it, and nowhere later."""
    made = (await client.post(PATH, json=BODY)).json()
    assert made["signing_secret"].startswith("whsec_")
    for path in (PATH, f"{PATH}/{made['id']}"):
        assert made["signing_secret"] not in (await client.get(path)).text


async def test_only_an_admin_makes_webhooks(connect: Connect) -> None:
    """They tell a project's news to the world."""
    async with await connect(Scope.TRAINING) as user:
        assert (await user.post(PATH, json=BODY)).status_code == 403
        assert (await user.get("/v1/webhook_event_types")).status_code == 403


async def test_a_sample_that_reaches_nobody_says_why(client: httpx.AsyncClient) -> None:
    """The name does not exist."""
    made = (await client.post(PATH, json=BODY | {"url": "https://nobody.invalid/"})).json()
    answer = await client.post(
        f"{PATH}/{made['id']}/test", json={"event_type": "fine_tuning.job.failed"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "webhook_unreachable"


async def test_the_running_service_delivers_by_itself(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The end of a job reaches the endpoint's list of tries without anybody asking."""
    made = (await client.post(PATH, json=BODY | {"url": "https://nobody.invalid/"})).json()
    event = JobEvent(id="e", job_id="ftjob-1", created_at=1, level="info", message="x")
    await store.jobs.add(fine_tuning_job("ftjob-1"), event)
    await store.jobs.move("ftjob-1", JobStatus.FAILED)
    async with asyncio.timeout(30):
        while True:
            listed = (await client.get(f"{PATH}/{made['id']}/deliveries")).json()["data"]
            if listed[0]["attempts"]:
                break
            await asyncio.sleep(0.1)
    assert (listed[0]["status"], listed[0]["subject"]) == ("pending", "ftjob-1")
