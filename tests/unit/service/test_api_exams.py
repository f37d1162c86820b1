"""What a request for an evaluation may ask besides, and the reports of a finished one."""

from typing import Any

import httpx
import pytest

from registry.records import Verdict
from registry.reports import ReportFormat, report_path
from registry.settings import Settings
from registry.store import Store
from service.promotion import change_of, reason_of
from tests import records
from tests.service_api import add_version, judge, uploaded

EVALUATIONS = "/v1/evaluations"


async def test_everything_that_can_be_asked(client: httpx.AsyncClient, store: Store) -> None:
    """What is asked is stored whole, with defaults, and shown."""
    heldout, suite = await uploaded(client), await uploaded(client, purpose="evals")
    version = await add_version(store, heldout_file=heldout)
    other = await add_version(store)
    asked = {
        "arms": ["few_shot", "few_shot_nearest"],
        "choose_examples": True,
        "instruction": "Answer with JSON.",
        "models": [other.name],
        "suites": ["training"],
        "suite_files": [suite],
        "max_training_rows": 20,
        "measure_loss": False,
        "use_cache": False,
    }
    made = await client.post(EVALUATIONS, json={"model": version.name, **asked})
    assert made.status_code == 200, made.text
    assert made.json()["options"] == {
        **asked,
        "production": None,
        "judge": None,
        "decides": True,
    }


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"primary_metric": "loss"}, "primary_metric"),
        ({"guardrails": {"loss": 0.1}}, "guardrails"),
        ({"max_behaviour_divergence": 0.5}, "max_behaviour_divergence"),
    ],
)
async def test_what_the_policy_decides_by_is_measured(
    client: httpx.AsyncClient, store: Store, policy: dict[str, Any], field: str
) -> None:
    """An evaluation cannot leave out the losses that its own policy needs."""
    version = await add_version(store, heldout_file=await uploaded(client))
    body = {"model": version.name, "policy": policy, "measure_loss": False}
    answer = await client.post(EVALUATIONS, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "measure_loss")
    assert f"'{field}'" in answer.json()["error"]["message"]


async def test_a_limit_on_a_suite_that_is_not_asked_needs_no_losses(
    client: httpx.AsyncClient, store: Store
) -> None:
    """The divergence is that of the behaviour suite; without the suite nothing holds it."""
    version = await add_version(store, heldout_file=await uploaded(client))
    policy = {"max_behaviour_divergence": 0.5}
    body = {"model": version.name, "policy": policy, "measure_loss": False, "suites": []}
    assert (await client.post(EVALUATIONS, json=body)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"arms": ["many_shot"]}, "arms[0]", "many_shot"),
        ({"arms": ["few_shot", "few_shot"]}, "arms", "twice"),
        ({"models": ["a", "b", "c", "d", "e"]}, "models", "at most 4"),
        ({"models": ["nobody"]}, "models", "nobody"),
        ({"models": ["tiny-base"]}, "models", "examined anyway"),
        ({"models": [" "]}, "models", "empty"),
        ({"deployment": "nowhere"}, "deployment", "nowhere"),
        ({"instruction": " "}, "instruction", "between 1 and"),
        ({"suites": ["everything"]}, "suites[0]", "everything"),
        ({"suite_files": ["file-none"]}, "suite_files", "file-none"),
        ({"max_training_rows": 0}, "max_training_rows", "between 1 and 500"),
        ({"judge": {"rubric": "Be right."}}, "judge", "GRAFTLINE_JUDGE_URL"),
        ({"judge": {"rubric": ""}}, "judge.rubric", "between 1 and"),
        ({"judge": {"rubric": "x", "max_rows": 0}}, "judge.max_rows", "between 1"),
        (
            {"judge": {"rubric": "x", "labels": [{"row": -1, "preferred": "tie"}]}},
            "judge.labels",
            "at most",
        ),
        ({"judge": {"rubric": "x", "colour": 1}}, "judge", "colour"),
    ],
)
async def test_a_request_at_fault_names_the_field(
    client: httpx.AsyncClient, store: Store, changes: dict[str, Any], param: str, words: str
) -> None:
    """Each fault has its field and what to do."""
    version = await add_version(store, heldout_file=await uploaded(client))
    answer = await client.post(EVALUATIONS, json={"model": version.name, **changes})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert words in error["message"]
    assert error["param"] == param


async def test_a_training_file_is_no_suite(client: httpx.AsyncClient, store: Store) -> None:
    """A suite is uploaded with the purpose `evals`."""
    file = await uploaded(client)
    version = await add_version(store, heldout_file=file)
    body = {"model": version.name, "suite_files": [file]}
    answer = await client.post(EVALUATIONS, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "suite_files")
    assert "purpose 'evals'" in answer.json()["error"]["message"]


async def test_a_suite_in_use_is_not_deleted(client: httpx.AsyncClient, store: Store) -> None:
    """An unfinished evaluation keeps the files of its suites."""
    suite = await uploaded(client, purpose="evals")
    version = await add_version(store, heldout_file=await uploaded(client))
    body = {"model": version.name, "suite_files": [suite]}
    made = (await client.post(EVALUATIONS, json=body)).json()
    answer = await client.delete(f"/v1/files/{suite}")
    assert answer.status_code == 409
    assert made["id"] in answer.json()["error"]["message"]


@pytest.mark.parametrize("named", [{"deployment": "support"}, {}], ids=["named", "on trial"])
async def test_production_is_the_stable_version_of_a_deployment(
    client: httpx.AsyncClient, store: Store, named: dict[str, str]
) -> None:
    """That of the deployment named, or of the one on which the version is on trial."""
    stable, version = await add_version(store), await add_version(store)
    trial = records.deployment("support", stable=stable.name, candidate=version.name)
    await store.deployments.add(
        trial, change_of(trial, "create", actor="key-1", reason=reason_of(None, None))
    )
    body: dict[str, Any] = {"model": version.name, "heldout_file": await uploaded(client)}
    made = (await client.post(EVALUATIONS, json=body | named)).json()
    assert made["options"]["production"] == stable.name


async def test_a_comparison_is_no_verdict(client: httpx.AsyncClient, store: Store) -> None:
    """An evaluation that says that it does not decide is not the newest one that counts."""
    version = await add_version(store, heldout_file=await uploaded(client))
    counting = await judge(store, version, Verdict.GO)
    await judge(store, version, Verdict.NO_GO, options={"decides": False})
    assert [each.id for each in await store.evaluations.latest(version.name)] == [counting.id]


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [
        (ReportFormat.HTML, "text/html"),
        (ReportFormat.CSV, "text/csv"),
        (ReportFormat.JSON, "application/json"),
    ],
)
async def test_reports_are_served(
    client: httpx.AsyncClient, store: Store, settings: Settings, kind: str, media_type: str
) -> None:
    """Each in its media type, and a page that may run and fetch nothing."""
    done = await judge(store, await add_version(store), Verdict.GO)
    path = report_path(settings.exam_reports_dir, done.id, ReportFormat(kind))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    answer = await client.get(f"{EVALUATIONS}/{done.id}/report.{kind}")
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["content-type"].startswith(media_type)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_an_evaluation_without_report_says_why(
    client: httpx.AsyncClient, store: Store
) -> None:
    """One that waits, and one from before there were reports."""
    version = await add_version(store, heldout_file=await uploaded(client))
    waiting = (await client.post(EVALUATIONS, json={"model": version.name})).json()
    old = await judge(store, version, Verdict.GO)
    for identifier, words in ((waiting["id"], "it is queued"), (old.id, "ask for another one")):
        answer = await client.get(f"{EVALUATIONS}/{identifier}/report.html")
        assert answer.status_code == 409
        assert words in answer.json()["error"]["message"]
