"""Health, metrics, the API's description, and answers to what nobody expected."""

import logging
import os
import time
from dataclasses import replace

import httpx
import pytest

from registry import errors
from registry.records import Heartbeat
from registry.settings import Settings
from registry.store import Store
from service.front import Front
from service.problems import problem_of

SECRET_WORDS = "password=hunter2"


async def test_a_running_service_is_live(anonymous: httpx.AsyncClient) -> None:
    """Without a key, and without an engine."""
    assert (await anonymous.get("/health/live")).status_code == 200


async def test_readiness_says_which_part_is_missing(anonymous: httpx.AsyncClient) -> None:
    """The database answers, the engine does not, the processes were never heard of."""
    answer = await anonymous.get("/health/ready")
    assert answer.status_code == 503
    found = answer.json()
    assert found["status"] == "not_ready"
    assert {part: health["ok"] for part, health in found["parts"].items()} == {
        "database": True,
        "engine": False,
        "trainer": False,
        "evals": False,
        "reconcile": False,
    }


@pytest.mark.parametrize(("age", "alive"), [(0, True), (60, False)])
async def test_a_process_is_judged_by_its_last_heartbeat(
    anonymous: httpx.AsyncClient, store: Store, age: int, alive: object
) -> None:
    """A minute of silence is death."""
    beat = Heartbeat(part="trainer", pid=os.getpid(), at=time.time() - age)
    await store.parts.beat(beat)
    parts = (await anonymous.get("/health/ready")).json()["parts"]
    assert parts["trainer"]["ok"] is alive


async def test_metrics_need_no_key(anonymous: httpx.AsyncClient) -> None:
    """Prometheus reads them as they are."""
    answer = await anonymous.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "graftline_engine_up" in answer.text


async def test_the_api_describes_itself(anonymous: httpx.AsyncClient) -> None:
    """Every group of paths is there, and how to send a key."""
    described = (await anonymous.get("/schema/openapi.json")).json()
    assert described["info"]["title"] == "Graftline"
    assert described["components"]["securitySchemes"]["api_key"]["scheme"] == "bearer"
    for path in ("/v1/files", "/v1/fine_tuning/jobs", "/v1/chat/completions", "/v1/deployments"):
        assert path in described["paths"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/", 404),
        ("PUT", "/v1/files", 405),
    ],
)
async def test_even_a_wrong_url_is_answered_in_openais_shape(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    """A client's error handling always finds what it looks for."""
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_an_unexpected_error_tells_nothing_but_its_request() -> None:
    """The words of the error are for the log."""
    problem = problem_of(RuntimeError(SECRET_WORDS), "a" * 32)
    assert problem.status == 500
    assert SECRET_WORDS.encode() not in problem.encode()
    assert b"a" * 32 in problem.encode()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NotFound("file", "x"), 404),
        (errors.Conflict("x"), 409),
        (errors.IllegalTransition("job", "x", "a", "b"), 409),
        (errors.InUse("file", "x", "y"), 409),
        (errors.NotPromotable("x", None), 409),
        (errors.Invalid("x"), 400),
        (errors.InvalidData(()), 400),
        (errors.Unauthenticated("x"), 401),
        (errors.MissingScope("x"), 403),
        (errors.Unavailable("engine", "x"), 503),
        (errors.TooLarge(1), 413),
        (errors.StorageFull("x"), 507),
        (errors.CorruptArtifact("x", "y"), 500),
        (errors.EngineError(500, "x"), 502),
        (errors.EngineError(400, "x"), 400),
    ],
)
def test_each_error_has_its_status(error: errors.GraftlineError, status: int) -> None:
    """One table maps them all."""
    assert problem_of(error, "x").status == status


async def test_an_answer_and_its_line_in_the_log_name_the_same_request(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A user's report leads to the line."""
    with caplog.at_level(logging.INFO, logger="service.request_log"):
        answer = await client.get("/v1/files")
    assert answer.headers["x-request-id"] in caplog.text


@pytest.mark.usefixtures("app")
async def test_no_key_is_ever_logged(
    client: httpx.AsyncClient, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither a valid one nor one that was made."""
    secret = settings.admin_key_file.read_text().strip()
    with caplog.at_level(logging.DEBUG):
        body = {"name": "x", "scopes": ["inference"]}
        made = (await client.post("/v1/api_keys", json=body)).json()["secret"]
    assert secret not in caplog.text
    assert made not in caplog.text


class AwayStore:
    """A store whose database does not answer."""

    def __init__(self) -> None:
        self.parts = self

    async def alive(self) -> list[Heartbeat]:
        """Fail as a store does."""
        raise errors.Unavailable("database", SECRET_WORDS)


async def test_without_a_database_the_service_says_so(
    app: Front, anonymous: httpx.AsyncClient
) -> None:
    """The part is named; what the driver says is not shown."""
    app.state.services = replace(app.state.services, store=AwayStore())
    answer = await anonymous.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["parts"]["database"] == {"ok": False, "detail": "does not answer"}
