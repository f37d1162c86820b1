"""Interactions, texts and projects over HTTP, and the way from feedback to the next file."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from registry.records import Scope
from registry.store import Store
from service.dialects.table import DIALECTS_BY_PATH
from service.kept_text import KeptText
from service.texts import Texts
from tests.records import interaction
from tests.service_api import Connect
from tests.serving import BASE, Serving, serving

INTERACTIONS = "/v1/interactions"
FROM_FEEDBACK = "/v1/files/from-feedback"


def said(number: int = 1, answer: str | None = "Soon.") -> KeptText:
    """Return what was said in a request."""
    messages = [{"role": "user", "content": f"Question {number}"}]
    body = {"model": "x", "user": "secret", "messages": messages}
    return KeptText(request=json.dumps(body).encode(), answer=answer)


async def judged(app: Litestar, client: httpx.AsyncClient, count: int, **words: Any) -> None:
    """Record so many requests with text, and judge each."""
    for number in range(count):
        name = f"chatcmpl-{number}"
        app.state.services.interaction_log.record(interaction(name), said(number))
        body = {"interaction_id": name, **words}
        assert (await client.post("/v1/feedback", json=body)).status_code == 200


async def ask(running: Serving, **fields: Any) -> dict[str, Any]:
    """Send one chat request and return its interaction, as the API shows it."""
    answer = await running.chat(BASE, **fields)
    name = "chatcmpl-" + answer.headers["x-request-id"]
    await running.services.interaction_log.flush()
    async with running.client.get(f"{INTERACTIONS}/{name}") as response:
        found: dict[str, Any] = await response.json()
        return found


@pytest.mark.parametrize("stream", [False, True])
async def test_a_text_is_kept_once_the_project_opts_in(tmp_path: Path, *, stream: bool) -> None:
    """Whole and streamed; before that only figures are."""
    async with serving(tmp_path) as running:
        before = await ask(running, stream=stream)
        async with running.client.put("/v1/project", json={"text_share": 1}) as response:
            assert response.status == 200
        after = await ask(running, stream=stream)
    assert before["text"] is None
    assert before["features"]["messages"] == 1
    assert after["text"] == {
        "request": {"messages": [{"role": "user", "content": "hi"}]},
        "answer": "Your card is on its way.",
    }
    assert after["features"]["prompt_characters"] == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "said", "characters"),
    [
        ("/v1/completions", {"prompt": "hi"}, 2),
        ("/v1/responses", {"instructions": "Be brief.", "input": "hi"}, 12),
        (
            "/v1/messages",
            {"system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]},
            12,
        ),
    ],
)
async def test_a_text_is_kept_of_every_endpoint(
    tmp_path: Path, path: str, said: dict[str, Any], characters: int, *, stream: bool
) -> None:
    """What the model was told, as it came, and what it said."""
    async with serving(tmp_path) as running:
        await running.client.put("/v1/project", json={"text_share": 1})
        body = {"model": BASE, "max_tokens": 20, "user": "secret", "stream": stream, **said}
        async with running.client.post(path, json=body) as response:
            assert response.status == 200
            await response.read()
            name = DIALECTS_BY_PATH[path].id_prefix + response.headers["x-request-id"]
        await running.services.interaction_log.flush()
        async with running.client.get(f"{INTERACTIONS}/{name}") as response:
            found = await response.json()
    assert found["text"] == {"request": said, "answer": "Your card is on its way."}
    assert found["features"]["prompt_characters"] == characters


async def test_interactions_are_listed_for_their_project(
    client: httpx.AsyncClient, connect: Connect, store: Store
) -> None:
    """Filters and pages work; another project sees none of it."""
    await store.interactions.add_many([interaction("a"), interaction("b", model="m")])
    page = (await client.get(INTERACTIONS, params={"limit": 1})).json()
    rest = (await client.get(INTERACTIONS, params={"after": page["data"][0]["id"]})).json()
    chosen = (await client.get(INTERACTIONS, params={"model": "m"})).json()
    assert [page["data"][0]["id"], page["has_more"], rest["data"][0]["id"]] == ["b", True, "a"]
    assert [each["id"] for each in chosen["data"]] == ["b"]
    async with await connect(Scope.TRAINING, project="other") as stranger:
        assert (await stranger.get(INTERACTIONS)).json()["data"] == []
        assert (await stranger.get(f"{INTERACTIONS}/a")).status_code == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"text_share": 1.5}, "text_share"),
        ({"text_share": -0.1}, "text_share"),
        ({"text_retention_days": 0}, "text_retention_days"),
        ({"text_retention_days": 4000}, "text_retention_days"),
    ],
)
async def test_a_choice_out_of_range_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    """The field is named."""
    answer = await client.put("/v1/project", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_what_is_left_out_of_a_choice_stays(client: httpx.AsyncClient) -> None:
    """Two changes do not undo each other."""
    await client.put("/v1/project", json={"text_share": 0.5})
    await client.put("/v1/project", json={"text_retention_days": 7})
    found = (await client.get("/v1/project")).json()
    assert (found["text_share"], found["text_retention_days"]) == (0.5, 7)


async def test_every_text_of_a_project_can_be_deleted(
    app: Litestar, client: httpx.AsyncClient
) -> None:
    """Those that still wait to be written too; the interaction stays."""
    app.state.services.interaction_log.record(interaction(), said())
    assert (await client.delete("/v1/project/texts")).json()["texts"] == 1
    assert (await client.get(f"{INTERACTIONS}/chatcmpl-1")).json()["text"] is None


async def test_texts_go_when_their_time_is_over(app: Litestar, client: httpx.AsyncClient) -> None:
    """A shorter retention works at once."""
    long_ago = time.time() - 10 * 86_400
    app.state.services.interaction_log.record(interaction(created_at=long_ago), said())
    await app.state.services.interaction_log.flush()
    await client.put("/v1/project", json={"text_retention_days": 9})
    assert (await client.get(f"{INTERACTIONS}/chatcmpl-1")).json()["text"] is None


async def test_texts_are_sampled_by_their_share(client: httpx.AsyncClient, store: Store) -> None:
    """About a quarter of 4,000, the same ones in every process."""
    await client.put("/v1/project", json={"text_share": 0.25})
    processes = [Texts(store), Texts(store)]
    for texts in processes:
        await texts.refresh()
    first, second = (
        [texts.wanted("default", f"chatcmpl-{number}") for number in range(4000)]
        for texts in processes
    )
    assert first == second
    assert 880 < sum(first) < 1120
    assert not processes[0].wanted("other", "chatcmpl-1")


async def test_good_answers_become_a_training_file(
    app: Litestar, client: httpx.AsyncClient
) -> None:
    """It is a file like an uploaded one, and holds nothing of the request but what was said."""
    await judged(app, client, 11, label="up")
    made = (await client.post(FROM_FEEDBACK, json={})).json()
    assert (made["rows"], made["considered"], made["skipped"]) == (11, 11, {})
    content = (await client.get(f"/v1/files/{made['id']}/content")).content
    assert b"secret" not in content
    assert json.loads(content.splitlines()[0])["messages"][-1]["content"] == "Soon."
    job = {"model": "tiny-base", "training_file": made["id"]}
    assert (await client.post("/v1/fine_tuning/jobs", json=job)).status_code == 200


async def test_corrections_become_pairs(app: Litestar, client: httpx.AsyncClient) -> None:
    """A correction alone is enough."""
    await judged(app, client, 10, correction="Tomorrow.")
    made = (await client.post(FROM_FEEDBACK, json={"purpose": "dpo"})).json()
    content = (await client.get(f"/v1/files/{made['id']}/content")).text
    row = json.loads(content.splitlines()[0])
    assert row["preferred_output"][0]["content"] == "Tomorrow."
    assert row["non_preferred_output"][0]["content"] == "Soon."


async def test_too_few_rows_are_refused(app: Litestar, client: httpx.AsyncClient) -> None:
    """The answer counts them and says why others are not there; no file is made."""
    await judged(app, client, 3, score=0.2)
    answer = await client.post(FROM_FEEDBACK, json={})
    assert answer.status_code == 400
    assert "3 not_good" in answer.json()["error"]["message"]
    assert (await client.get("/v1/files")).json()["data"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [({"limit": 9}, "limit"), ({"min_score": 2}, "min_score"), ({"since": 2, "until": 1}, "since")],
)
async def test_a_file_out_of_bounds_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    """The field is named."""
    answer = await client.post(FROM_FEEDBACK, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("word", ["label", "comment", "correction"])
async def test_words_alone_are_feedback(client: httpx.AsyncClient, store: Store, word: str) -> None:
    """The score is unknown then; the same body twice is one judgement with one answer."""
    await store.interactions.add_many([interaction()])
    body = {"interaction_id": "chatcmpl-1", word: "meh"}
    first, second = [(await client.post("/v1/feedback", json=body)).json() for _ in range(2)]
    assert first == second
    assert (first["score"], first[word]) == (None, "meh")


@pytest.mark.parametrize("word", ["label", "comment", "correction", "interaction_id"])
@pytest.mark.parametrize("text", ["x" * 100_001, "a\x00b"])
async def test_feedback_out_of_bounds_is_refused(
    client: httpx.AsyncClient, word: str, text: str
) -> None:
    """The field is named."""
    body = {"interaction_id": "chatcmpl-1", "score": 1, word: text}
    answer = await client.post("/v1/feedback", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, word)


async def test_feedback_on_a_dropped_interaction_says_so(
    app: Litestar, client: httpx.AsyncClient
) -> None:
    """It is not the user's mistake."""
    log = app.state.services.interaction_log
    log.record(interaction("same"))
    log.record(interaction("other", project="p"))
    log.record(interaction("other"))
    await log.flush()
    body = {"interaction_id": "other", "score": 1}
    answer = await client.post("/v1/feedback", json=body)
    assert answer.status_code == 404
    assert "not kept" in answer.json()["error"]["message"]
