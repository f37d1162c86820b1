"""The life of a key: its end, its limits, its successor."""

import time
from typing import Any

import httpx
import pytest

from registry.errors import Unauthenticated, Unavailable
from registry.records import ApiKey, Scope
from registry.store import Store
from service.auth import STALE_SECONDS, Keyring
from service.front import Front
from tests.service_api import Connect, open_client


async def make(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Make a key for training."""
    body = {"name": "x", "scopes": ["training"], **fields}
    answer = await client.post("/v1/api_keys", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def status(app: Front, secret: str) -> int:
    """Return how a key is answered."""
    async with open_client(app, secret) as holder:
        return (await holder.get("/v1/files")).status_code


@pytest.mark.usefixtures("app")
async def test_an_expired_key_is_told_so(client: httpx.AsyncClient, store: Store) -> None:
    """It opens until its end, and not from then on, by the clock that is handed in."""
    made = await make(client, expires_in_seconds=60)
    keyring = Keyring(store)
    await keyring.refresh()
    header = f"Bearer {made['secret']}"
    assert keyring.identify(header, None, made["expires_at"] - 1).id == made["id"]
    with pytest.raises(Unauthenticated, match="expired"):
        keyring.identify(header, None, made["expires_at"])


@pytest.mark.usefixtures("app")
async def test_an_unknown_key_is_not_wrong_while_the_store_is_away(
    client: httpx.AsyncClient, store: Store
) -> None:
    """It may be new, so 503; a known one goes on, and once the store was read it is 401 again."""
    made, now = await make(client), [0.0]
    keyring = Keyring(store, steady=lambda: now[0])
    await keyring.refresh()
    now[0] += STALE_SECONDS + 1
    assert keyring.identify(f"Bearer {made['secret']}", None, time.time()).id == made["id"]
    with pytest.raises(Unavailable, match="not seen before"):
        keyring.identify("Bearer sk-graftline-new", None, time.time())
    await keyring.refresh()
    with pytest.raises(Unauthenticated):
        keyring.identify("Bearer sk-graftline-new", None, time.time())


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"expires_at": 1}, "expires_at"),
        ({"expires_in_seconds": 0}, "expires_in_seconds"),
        ({"expires_at": 2**33, "expires_in_seconds": 5}, "expires_in_seconds"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"tokens_per_minute": -1}, "tokens_per_minute"),
    ],
)
async def test_an_end_or_limit_at_fault_is_refused(
    client: httpx.AsyncClient, fields: dict[str, int], param: str
) -> None:
    """When a key is made and when it is changed, and the parameter is named."""
    made = await make(client)
    body = {"name": "x", "scopes": ["training"], **fields}
    for answer in (
        await client.post("/v1/api_keys", json=body),
        await client.patch(f"/v1/api_keys/{made['id']}", json=fields),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == param


async def test_a_change_touches_only_what_it_names(client: httpx.AsyncClient) -> None:
    """Null takes a limit away; absent fields stay."""
    made = await make(client, requests_per_minute=5, tokens_per_minute=7, expires_in_seconds=900)
    path = f"/v1/api_keys/{made['id']}"
    changed = (await client.patch(path, json={"tokens_per_minute": None})).json()
    assert changed["requests_per_minute"] == 5
    assert changed["tokens_per_minute"] is None
    assert changed["expires_at"] == made["expires_at"]
    assert changed["secret"] is None


async def test_a_successor_has_the_same_rights(app: Front, client: httpx.AsyncClient) -> None:
    """Both keys work during the grace; the old one has an end."""
    made = await make(client, requests_per_minute=5)
    path = f"/v1/api_keys/{made['id']}"
    new = (await client.post(f"{path}/rotate", json={"grace_seconds": 60})).json()
    same = ("project", "name", "scopes", "requests_per_minute", "tokens_per_minute")
    assert [new[field] for field in same] == [made[field] for field in same]
    listed = (await client.get("/v1/api_keys")).json()["data"]
    old = next(one for one in listed if one["id"] == made["id"])
    assert old["expires_at"] - time.time() <= 60
    assert [await status(app, one["secret"]) for one in (made, new)] == [200, 200]


async def test_a_rotation_without_grace_ends_the_old_key_at_once(
    app: Front, client: httpx.AsyncClient
) -> None:
    """Only the successor opens."""
    made = await make(client)
    path = f"/v1/api_keys/{made['id']}/rotate"
    assert (await client.post(path, json={"grace_seconds": -1})).status_code == 400
    new = (await client.post(path, json={"grace_seconds": 0})).json()
    assert [await status(app, one["secret"]) for one in (made, new)] == [401, 200]


async def test_the_last_operators_key_gets_no_end(client: httpx.AsyncClient) -> None:
    """Nobody locks everybody out, not even later."""
    await make(client, scopes=["admin"], expires_in_seconds=60)
    keys = (await client.get("/v1/api_keys")).json()["data"]
    first = next(key for key in keys if key["name"] == "first admin key")
    path = f"/v1/api_keys/{first['id']}"
    assert (await client.patch(path, json={"expires_in_seconds": 60})).status_code == 409
    assert (await client.delete(path)).status_code == 409


async def test_the_exams_key_is_not_rotated(client: httpx.AsyncClient) -> None:
    """Its process would not learn of it."""
    keys = (await client.get("/v1/api_keys")).json()["data"]
    lent = next(key for key in keys if key["project"] == "*")
    assert (await client.post(f"/v1/api_keys/{lent['id']}/rotate")).status_code == 409


async def test_other_projects_keys_are_not_found(
    client: httpx.AsyncClient, connect: Connect
) -> None:
    """Change, rotation and revocation are answered with 404."""
    made = await make(client)
    path = f"/v1/api_keys/{made['id']}"
    async with await connect(Scope.ADMIN, project="other") as governor:
        answers = [
            await governor.patch(path, json={"name": "y"}),
            await governor.post(f"{path}/rotate"),
            await governor.delete(path),
        ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]


@pytest.mark.usefixtures("app")
async def test_a_look_reads_the_keys_only_where_they_changed(
    client: httpx.AsyncClient, store: Store
) -> None:
    """A revoked key is gone at the next look; without a change nothing is read."""
    made, reads, valid = await make(client), [0], store.keys.valid

    async def counted() -> list[ApiKey]:
        reads[0] += 1
        return await valid()

    store.keys.valid = counted  # type: ignore[method-assign] # counts
    keyring = Keyring(store)
    await keyring.look()
    await keyring.look()
    assert reads == [1]
    assert keyring.find(made["secret"]) is not None
    await store.keys.revoke(made["id"], at=1)
    await keyring.look()
    assert keyring.find(made["secret"]) is None
    assert reads == [2]
