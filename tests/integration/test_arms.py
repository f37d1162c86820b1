"""An evaluation with every kind of arm that is a version, and a judge, on the real stack.

The judge is the tiny base model behind the service itself: it judges badly, and the report must
say so.
"""

from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.integration.examples import upload
from tests.integration.training import READY_SECONDS, Trained
from tests.integration.waiting import until

pytestmark = [pytest.mark.integration, pytest.mark.slow]
DEPLOYMENT = "support-arms"
ROWS = 16
JUDGED = 8
SECONDS = 500.0


@pytest.fixture(scope="module")
def checkpoints(http: httpx.Client, client: OpenAI, trained: Trained) -> list[str]:
    """Return the versions of two earlier points of the training, ready, the earlier one first."""
    points = client.fine_tuning.jobs.checkpoints.list(trained.job.id).data
    ordered = sorted(points, key=lambda point: point.step_number)
    names = [point.fine_tuned_model_checkpoint for point in ordered][:2]
    assert len(names) == 2
    for name in names:  # a checkpoint is loaded, and examined, once somebody asks for it
        client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": "Hello"}], max_tokens=1
        )

    def examined() -> bool:
        found = [http.get(f"/adapters/{name}").json()["status"] for name in names]
        return "published" not in found

    until(examined, seconds=READY_SECONDS)
    return names


@pytest.fixture(scope="module")
def evaluation(
    http: httpx.Client, client: OpenAI, trained: Trained, checkpoints: list[str]
) -> dict[str, Any]:
    """Return an evaluation of the trained version beside one in production, another and a judge."""
    production, other = checkpoints
    created = http.post(
        "/deployments",
        json={"name": DEPLOYMENT, "stable": production, "override_reason": "an arm of a test"},
    )
    assert created.is_success, created.text
    asked = http.post(
        "/evaluations",
        json={
            "model": trained.model,
            "heldout_file": upload(client, trained.heldout[:ROWS]),
            "arms": [],
            "suites": [],
            "deployment": DEPLOYMENT,
            "models": [other],
            "judge": {"rubric": "The answer that equals the reference.", "max_rows": JUDGED},
            "policy": {"min_rows": 10},
            "decides": False,
        },
    )
    assert asked.is_success, asked.text
    name = asked.json()["id"]

    def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = http.get(f"/evaluations/{name}").json()
        return found if found["status"] in {"succeeded", "failed"} else None

    done = until(ended, seconds=SECONDS)
    assert done["status"] == "succeeded", done["error"]
    return done


def test_each_arm_is_the_version_it_names(
    evaluation: dict[str, Any], trained: Trained, checkpoints: list[str]
) -> None:
    """Base, adapter, the version in production and the further one are examined on every row."""
    arms = evaluation["results"]["arms"]
    assert {name: arm["model"] for name, arm in arms.items()} == {
        "base": "tiny-base",
        "adapter": trained.model,
        "production": checkpoints[0],
        checkpoints[1]: checkpoints[1],
    }
    assert {arm["unscored"] for arm in arms.values()} == {0}


@pytest.mark.parametrize("arm", ["production", "further"])
def test_an_arms_answers_are_its_versions(
    evaluation: dict[str, Any],
    http: httpx.Client,
    client: OpenAI,
    trained: Trained,
    checkpoints: list[str],
    arm: str,
) -> None:
    """Asked again by name, the same version answers, and says what the evaluation wrote down."""
    version = checkpoints[0] if arm == "production" else checkpoints[1]
    asked = DEPLOYMENT if arm == "production" else version
    named = arm if arm == "production" else version
    stored = http.get(f"/evaluations/{evaluation['id']}/rows").json()["data"]
    answers = {each["row"]: each for each in stored if each["arm"] == named}
    assert sorted(answers) == list(range(ROWS))
    sure = [row for row in range(ROWS) if answers[row]["scores"]["exact_match"] == 1]
    assert sure
    for row in sure[:2]:
        raw = client.chat.completions.with_raw_response.create(
            model=asked,
            messages=trained.heldout[row]["messages"][:-1],
            temperature=0,
            max_tokens=128,
        )
        assert raw.headers["x-graftline-model"] == version
        assert raw.parse().choices[0].message.content == answers[row]["output"]


def test_the_verdict_follows_from_the_arms(
    evaluation: dict[str, Any], checkpoints: list[str]
) -> None:
    """The adapter is held against production too; the further version decides nothing."""
    results = evaluation["results"]
    against = {d["baseline"]: d for d in results["differences"] if d["metric"] == "exact_match"}
    assert set(against) == {"base", "production"}
    assert against["base"]["estimate"] >= 0.7
    least = min(against.values(), key=lambda each: each["estimate"])
    verdict = results["verdict"]
    assert verdict["baseline"] == least["baseline"]
    assert (verdict["verdict"] == "go") == (least["low"] > results["policy"]["smallest_effect"])
    further = {d["baseline"] for d in results["model_differences"]}
    assert further == {checkpoints[1]}


def test_a_bad_judge_is_called_one(evaluation: dict[str, Any]) -> None:
    """Every judged row is a win, a tie, a loss or not judged, and the consistency has its n."""
    judge = evaluation["results"]["judge"]
    assert (judge["model"], judge["rows"]) == ("tiny-base", JUDGED)
    judged = judge["rows"] - judge["unjudged"]
    assert judge["preference"]["n"] == judge["ties"]["n"] == judged
    assert judge["consistent"]["n"] <= judged
    assert bool(judge["errors"]) == bool(judge["unjudged"])
    assert judge["tokens"] > 0
    if judged:
        shares = (judge[name]["mean"] for name in ("wins", "ties", "losses"))
        assert sum(shares) == pytest.approx(1)


def test_the_reports_show_them(
    evaluation: dict[str, Any], http: httpx.Client, checkpoints: list[str]
) -> None:
    """The page names production, the further version and the judge's consistency."""
    page = http.get(f"/evaluations/{evaluation['id']}/report.html").text
    for words in ("version in production", checkpoints[1], "consistent verdicts"):
        assert words in page
