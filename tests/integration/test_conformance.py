"""The API of the real stack against its own description, real engine included."""

import httpx
import pytest
import requests

from tests.conformance import Case, check, described_api, trials
from tests.integration.stack import Stack

pytestmark = pytest.mark.integration
_EXAMPLES = 4
_PROJECT = "conformance"


def test_the_real_stack_answers_as_described(
    stack: Stack, http: httpx.Client, subtests: pytest.Subtests
) -> None:
    """A few requests to every operation, valid and not: none is a 5xx, each answer is described.

    No operation is left out. They are sent by an admin of a project of its own, which has no
    files and no versions: jobs and exams are asked for, and refused before anything is trained.
    """
    body = {"name": "conformance", "scopes": ["admin"], "project": _PROJECT}
    key = http.post("/api_keys", json=body).json()["secret"]
    known = {"models": ["tiny-base"]}
    schema = described_api(stack.url, known, examples=_EXAMPLES, coverage=False)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {key}"

        def ask(case: Case) -> None:
            check(case, session)

        for trial in trials(schema, ask):
            with subtests.test(trial.label):
                trial.run()
    assert httpx.get(f"{stack.url}/health/ready").json()["status"] == "ready"
