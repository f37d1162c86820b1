"""`graftline compare`, against an API that answers as the service does."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from rich.console import Console

from registry.errors import Invalid
from service.comparison import Compared, Comparison
from service.comparison_table import table_of

ADAPTER = "ft:tiny-base:default:triage:0123abcd"
ROWS = b'{"prompt": "a", "completion": "b"}\n'


def _estimate(mean: float) -> dict[str, Any]:
    return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 40}


def _difference(baseline: str) -> dict[str, Any]:
    return {
        "metric": "exact_match",
        "baseline": baseline,
        "estimate": 0.5,
        "low": 0.3,
        "high": 0.6,
        "n": 40,
        "p_value": 0.001,
    }


RESULTS = {
    "rows": 40,
    "policy": {"alpha": 0.05},
    "metric_kinds": {"exact_match": {"higher_is_better": True}},
    "arms": {
        "base": {"metrics": {"exact_match": _estimate(0.25)}},
        "adapter": {"metrics": {"exact_match": _estimate(0.75)}},
        "other": {"metrics": {"exact_match": _estimate(0.2)}},
    },
    "differences": [_difference("base")],
    "model_differences": [_difference("other") | {"estimate": 0.55}],
}


@dataclass
class FakeApi:
    """The four endpoints of a comparison."""

    statuses: list[str] = field(default_factory=lambda: ["running", "succeeded"])
    """What the evaluation is, look by look."""
    asked: dict[str, Any] = field(default_factory=dict)
    """The body of the evaluation's request."""

    def application(self) -> web.Application:
        """Return the fake as an application."""
        application = web.Application()
        application.router.add_get("/v1/adapters/{name}", self._adapter)
        application.router.add_post("/v1/files", self._file)
        application.router.add_post("/v1/evaluations", self._create)
        application.router.add_get("/v1/evaluations/eval-1", self._look)
        return application

    async def _adapter(self, request: web.Request) -> web.Response:
        if request.match_info["name"] == ADAPTER:
            return web.json_response({"base_model": "tiny-base"})
        return web.json_response({"error": {"message": "No such model."}}, status=404)

    async def _file(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "evals"
        return web.json_response({"id": "file-1"})

    async def _create(self, request: web.Request) -> web.Response:
        self.asked = json.loads(await request.text())
        return web.json_response({"id": "eval-1", "status": "queued"})

    async def _look(self, _request: web.Request) -> web.Response:
        status = self.statuses.pop(0)
        if status == "away":
            return web.json_response({"error": {"message": "A part is down."}}, status=503)
        return web.json_response({"status": status, "results": RESULTS, "error": "No rows."})


@pytest.fixture
def api() -> FakeApi:
    """Return the fake."""
    return FakeApi()


@pytest.fixture
async def comparison(api: FakeApi) -> AsyncIterator[Comparison]:
    """Serve the fake, and return a comparison over it that does not wait."""

    async def at_once(_seconds: float) -> None:
        return

    server = TestServer(api.application(), host="127.0.0.1")
    await server.start_server()
    async with aiohttp.ClientSession() as session:
        url = str(server.make_url(""))
        yield Comparison(session, url, "sk-x", say=lambda _words: None, sleep=at_once)
    await server.close()


async def _compared(comparison: Comparison, first: str, second: str) -> Compared:
    return await comparison.run(first, second, ROWS, max_rows=100)


async def test_the_second_minus_the_first(comparison: Comparison) -> None:
    """The adapter after the base shows the gain as it is."""
    found = await _compared(comparison, "tiny-base", ADAPTER)
    assert [(d["estimate"], d["low"], d["high"]) for d in found.differences] == [(0.5, 0.3, 0.6)]


async def test_the_order_turns_the_sign(comparison: Comparison) -> None:
    """The base after the adapter shows it turned, with its bounds."""
    found = await _compared(comparison, ADAPTER, "tiny-base")
    assert [(d["estimate"], d["low"], d["high"]) for d in found.differences] == [(-0.5, -0.6, -0.3)]


async def test_two_versions(comparison: Comparison, api: FakeApi) -> None:
    """Another version is asked as a further model, and nothing else is asked."""
    found = await _compared(comparison, "other", ADAPTER)
    assert [d["estimate"] for d in found.differences] == [0.55]
    asked = {name: api.asked[name] for name in ("models", "arms", "suites", "decides")}
    assert asked == {"models": ["other"], "arms": [], "suites": [], "decides": False}


async def test_a_restart_of_the_service_is_waited_for(comparison: Comparison, api: FakeApi) -> None:
    """An answer that a part is down ends nothing."""
    api.statuses = ["away", "away", "succeeded"]
    assert (await _compared(comparison, "tiny-base", ADAPTER)).evaluation == "eval-1"


async def test_a_failed_evaluation_tells_why(comparison: Comparison, api: FakeApi) -> None:
    """In the evaluation's own words."""
    api.statuses = ["failed"]
    with pytest.raises(Invalid, match=r"eval-1 failed: No rows\."):
        await _compared(comparison, "tiny-base", ADAPTER)


@pytest.mark.parametrize(("first", "second"), [("tiny-base", "x"), (ADAPTER, ADAPTER)])
async def test_two_models_one_of_them_a_version(
    comparison: Comparison, first: str, second: str
) -> None:
    """Two base models, or one model twice, are nothing to compare."""
    with pytest.raises(Invalid):
        await _compared(comparison, first, second)


async def _printed(comparison: Comparison, width: int) -> list[str]:
    found = await _compared(comparison, "tiny-base", ADAPTER)
    console = Console(width=width, no_color=True)
    with console.capture() as shown:
        console.print(table_of(found, width))
    return shown.get().splitlines()


async def test_the_table_has_every_interval(comparison: Comparison) -> None:
    """Scores, difference, what it means and p stand on one line."""
    line = next(line for line in await _printed(comparison, 120) if "exact match" in line)
    cells = ("0.250 [0.150, 0.350]", "0.750 [0.650, 0.850]", "+0.500, better", "0.0010")
    assert all(cell in line for cell in cells)


async def test_a_narrow_terminal_cuts_nothing(comparison: Comparison) -> None:
    """In 80 columns the intervals stand below the figures, whole."""
    told = "\n".join(await _printed(comparison, 80))
    for cell in ("[0.150, 0.350]", "[0.650, 0.850]", "[+0.300, +0.600]", ADAPTER):
        assert cell in told
    assert "…" not in told
