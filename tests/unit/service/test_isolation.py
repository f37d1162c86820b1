"""Projects see nothing of one another.

One table, `tests/reaches.py`, has every parameter of every operation that can name a record. One
that the API's description has and the table has not fails a test here.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from registry.records import Feedback, Scope, UsageRow, Verdict
from registry.store import Store
from service.front import Front
from service.streaming import Usage
from tests.reaches import BASE, FORM, PLAIN, TABLE, Reach
from tests.records import interaction
from tests.service_api import Connect, add_version, judge, new_job

LISTS = [
    "/v1/files",
    "/v1/fine_tuning/jobs",
    "/v1/models",
    "/v1/adapters",
    "/v1/deployments",
    "/v1/evaluations",
    "/v1/interactions",
    "/v1/api_keys",
    "/v1/webhook_endpoints",
    "/v1/usage?group_by=key,model",
    "/v1/metrics",
    "/v1/project",
]

UPLOAD = {
    "bytes": 10,
    "filename": "train.jsonl",
    "mime_type": "text/jsonl",
    "purpose": "fine-tune",
}
WEBHOOK = {
    "name": "ours",
    "url": "https://nobody.invalid/",
    "event_types": ["fine_tuning.job.cancelled"],
}
FILES = (*FORM, "data")
Names = dict[str, str]
"""Names and ids of one project's records, by kind."""


async def made(store: Store, app: Front, client: httpx.AsyncClient, project: str) -> Names:
    """Make one of everything in a client's project, and return how each is called."""
    job = await new_job(client)
    version = await add_version(store, project=project, job_id=job["id"])
    evaluation = await judge(store, version, Verdict.GO)
    deployment = f"support-of-{project}"
    body = {"name": deployment, "stable": version.name}
    answer = await client.post("/v1/deployments", json=body)
    assert answer.status_code == 200, answer.text
    events = (await client.get(f"/v1/fine_tuning/jobs/{job['id']}/events")).json()["data"]
    key = (await client.post("/v1/api_keys", json={"name": "k", "scopes": ["inference"]})).json()
    asked = interaction(
        f"chatcmpl-{project}", project=project, model=version.name, deployment=deployment
    )
    row = UsageRow(
        project=project,
        key_id=key["id"],
        model=version.name,
        day=time.strftime("%Y-%m-%d", time.gmtime()),
        requests=1,
        prompt_tokens=1,
        completion_tokens=1,
    )
    await store.interactions.add_many([asked], [row])
    await store.interactions.judge(
        Feedback(
            id=f"feedback-{project}",
            interaction_id=asked.id,
            project=project,
            score=1.0,
            label=None,
            comment=None,
            correction="Better.",
            created_at=1,
        )
    )
    app.state.services.metrics.tally.count(
        ("chat", "", "", version.name),
        status=200,
        duration_seconds=1.0,
        first_byte_seconds=None,
        usage=Usage(prompt_tokens=1, completion_tokens=1),
    )
    return await made_around(client) | {
        "file": job["training_file"],
        "job": job["id"],
        "event": events[0]["id"],
        "model": version.name,
        "pin": f"{version.name}/pin",
        "permissions": f"{version.name}/permissions",
        "permission": f"{version.name}/permissions/cp-1",
        "checkpoint": version.name.replace(f"ft:{BASE}:{project}:triage:", "ftckpt-"),
        "evaluation": evaluation.id,
        "deployment": deployment,
        "change": answer.json()["history"][0]["id"],
        "interaction": asked.id,
        "key": key["id"],
        "project": project,
    }


async def made_around(client: httpx.AsyncClient) -> Names:
    """Make an upload with a part, and a webhook with something to tell it."""
    upload = await client.post("/v1/uploads", json=UPLOAD)
    part = await client.post(
        f"/v1/uploads/{upload.json()['id']}/parts", files={"data": ("upload", b"x")}
    )
    webhook = (await client.post("/v1/webhook_endpoints", json=WEBHOOK)).json()["id"]
    ended = await new_job(client)
    await client.post(f"/v1/fine_tuning/jobs/{ended['id']}/cancel")
    told = (await client.get(f"/v1/webhook_endpoints/{webhook}/deliveries")).json()["data"]
    return {
        "upload": upload.json()["id"],
        "part": part.json()["id"],
        "webhook": webhook,
        "delivery": told[0]["id"],
    }


@dataclass
class Both:
    """An owner and a stranger, each with records of their own."""

    owner: httpx.AsyncClient
    """A client of the project `default`, its admin."""
    owned: Names
    """Its records."""
    stranger: httpx.AsyncClient
    """A client of the project `other`, its admin."""
    own: Names
    """The stranger's own records."""


@pytest.fixture
async def both(client: httpx.AsyncClient, store: Store, app: Front, connect: Connect) -> Both:
    """Make both."""
    stranger = await connect(Scope.ADMIN, project="other")
    return Both(
        client,
        await made(store, app, client, "default"),
        stranger,
        await made(store, app, stranger, "other"),
    )


def absent(names: Names) -> Names:
    """Return names and ids of the same shape that nothing has."""
    none = {kind: f"{name[:-4]}none" for kind, name in names.items()}
    return none | {
        "pin": f"{none['model']}/pin",
        "permissions": f"{none['model']}/permissions",
        "permission": f"{none['model']}/permissions/cp-1",
        "change": "change-99999999",
    }


async def send(client: httpx.AsyncClient, own: Names, reach: Reach, name: str) -> tuple[int, str]:
    """Send a request that names a record, and return what the answer tells beside that name."""
    method, path = reach.operation.split(" ")
    given = {
        parameter: own.get(str(value).strip("{}"), value) if isinstance(value, str) else value
        for parameter, value in reach.rest.items()
    } | {reach.parameter: [name] if reach.is_list else name}
    places = {parameter: value for parameter, value in given.items() if f"{{{parameter}}}" in path}
    rest = {parameter: value for parameter, value in given.items() if parameter not in places}
    url = path.format(**places)
    if reach.is_form:
        files = {part: (f"{part}.safetensors", rest.pop(part)) for part in FILES if part in rest}
        answer = await client.request(method, url, data=rest, files=files)
    elif method in {"GET", "DELETE"}:
        answer = await client.request(method, url, params=rest)
    else:
        answer = await client.request(method, url, json=rest)
    text = answer.text
    name = name.removesuffix("/pin").partition("/permissions")[0]
    if reach.kind != "project":  # projects' names are no secret, and are in sentences
        text = text.replace(name, "…")
    if reach.kind == "change":  # the answer names its number
        text = text.replace(f"'{name.removeprefix('change-')}'", "'…'")
    return answer.status_code, text.replace(answer.headers.get("x-request-id", "…"), "…")


async def test_another_projects_records_are_as_if_they_did_not_exist(both: Both) -> None:
    """Whoever names one is told, word for word, what is told of a name that nobody has."""
    nowhere = absent(both.owned)
    for reach in TABLE:
        told = await send(both.stranger, both.own, reach, both.owned[reach.kind])
        of_nothing = await send(both.stranger, both.own, reach, nowhere[reach.kind])
        assert told == of_nothing, reach
        assert told[0] == reach.status, (reach, told)


async def test_owners_are_told_something_else(both: Both) -> None:
    """So that the test before does not pass because a request is at fault."""
    nowhere = absent(both.owned)
    for reach in TABLE:
        told = await send(both.owner, both.owned, reach, both.owned[reach.kind])
        of_nothing = await send(both.owner, both.owned, reach, nowhere[reach.kind])
        assert (told != of_nothing) is reach.tells_owners, (reach, told)


async def test_strangers_change_nothing(both: Both) -> None:
    """After all that they try the owner's records are what they were."""
    before = await shown(both)
    for reach in TABLE:
        await send(both.stranger, both.own, reach, both.owned[reach.kind])
    assert await shown(both) == before


async def shown(both: Both) -> list[str]:
    """Return what the owner sees of its own records."""
    paths = [
        "/v1/files/{file}",
        "/v1/files/{file}/content",
        "/v1/fine_tuning/jobs/{job}",
        "/v1/adapters/{model}",
        "/v1/models/{model}",
        "/v1/deployments/{deployment}",
        "/v1/evaluations/{evaluation}",
        "/v1/interactions/{interaction}",
        "/v1/evaluations",
        "/v1/fine_tuning/jobs",
    ]
    answers = [await both.owner.get(path.format(**both.owned)) for path in paths]
    assert {answer.status_code for answer in answers} == {200}
    keys = (await both.owner.get("/v1/api_keys")).json()["data"]
    (key,) = (key for key in keys if key["id"] == both.owned["key"])
    return [*(answer.text for answer in answers), json.dumps(key)]


async def test_a_list_shows_the_callers_project_only(both: Both) -> None:
    """Neither names nor ids of another project are in it."""
    for path in LISTS:
        answer = await both.stranger.get(path)
        assert answer.status_code == 200, path
        text = answer.text.replace('"lora_start":"default"', "")  # no project, a word
        told = [kind for kind, name in both.owned.items() if f'"{name}"' in text]
        assert not told, (path, told)


async def test_a_project_sees_its_own_series(both: Both) -> None:
    """Those that name its versions, and no figure of the process."""
    shown = (await both.owner.get("/v1/metrics")).text
    assert both.owned["model"] in shown
    assert both.own["model"] not in shown
    assert "graftline_engine_up" not in shown


async def test_every_parameter_that_names_a_record_is_in_the_table(
    client: httpx.AsyncClient,
) -> None:
    """Of every operation that the API's description has."""
    document = (await client.get("/schema/openapi.json")).json()
    described = {
        (f"{method.upper()} {path}", name)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        for name in identifiers(document, path, operation)
    }
    assert described - {(reach.operation, reach.parameter) for reach in TABLE} == set()


def identifiers(document: dict[str, Any], path: str, operation: dict[str, Any]) -> set[str]:
    """Return an operation's parameters that name a record; every one of a path does."""
    names = {each["name"] for each in operation.get("parameters", []) if each["in"] != "header"}
    for content in operation.get("requestBody", {}).get("content", {}).values():
        names |= properties(document, content["schema"])
    return {name for name in names if name not in PLAIN or f"{{{name}}}" in path}


def properties(document: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Return the names of a body's fields."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return properties(document, document["components"]["schemas"][name])
    names = set(schema.get("properties", {}))
    for choice in ("oneOf", "anyOf", "allOf"):
        for each in schema.get(choice, []):
            names |= properties(document, each)
    return names
