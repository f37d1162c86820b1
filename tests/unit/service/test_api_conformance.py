"""The whole API against its own description: every answer is as described, and none is a 5xx."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
import requests
from schemathesis.schemas import BaseSchema

from tests.conformance import Case, check, described_api, trials
from tests.served_api import ServedApi, served_api

pytestmark = pytest.mark.slow
_EXAMPLES, _FEW = 6, 1
_SUCCEEDING = 0.8
"""Share of operations that must be seen to succeed; eight only refuse, some need a lucky body."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApi]:
    """Run one service for all requests."""
    # Streams of events end soon, and webhooks may lead to the service itself.
    changes = {
        "event_stream_seconds": 0.05,
        "webhook_plain_http": True,
        "webhook_private_addresses": True,
    }
    with served_api(tmp_path_factory.mktemp("api"), **changes) as api:
        yield api


@pytest.fixture(scope="module")
def briefly(served: ServedApi) -> BaseSchema:
    """Return the description, with a request to each operation."""
    return described_api(served.url, served.known, examples=_FEW, coverage=False)


def test_what_an_admin_asks_is_answered_as_described(
    served: ServedApi, subtests: pytest.Subtests
) -> None:
    """Valid and invalid requests, each bound of each field, methods that are not there.

    Most operations that can succeed do so at least once: the requests are no mere noise.
    """
    schema = described_api(served.url, served.known, examples=_EXAMPLES, coverage=True)
    seen: dict[str, set[int]] = defaultdict(set)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {served.admin_key}"

        def ask(case: Case) -> None:
            seen[case.operation.label].add(check(case, session))

        for trial in trials(schema, ask):
            with subtests.test(trial.label):
                trial.run()
    succeeded = {label for label, statuses in seen.items() if 200 in statuses}
    assert len(succeeded) >= _SUCCEEDING * len(seen), sorted(set(seen) - succeeded)


def test_what_was_made_is_answered_as_described(served: ServedApi, briefly: BaseSchema) -> None:
    """The answers to requests that only make sense together: imports, feedback, exams."""
    for made in served.made:
        briefly[made.path]["POST"].validate_response(made.answer)


def test_what_a_key_for_inference_asks_is_answered_as_described(
    served: ServedApi, briefly: BaseSchema, subtests: pytest.Subtests
) -> None:
    """What it may do is done; what it may not is 403."""
    with requests.Session() as session:
        session.headers["x-api-key"] = served.inference_key

        def ask(case: Case) -> None:
            check(case, session)

        for trial in trials(briefly, ask):
            with subtests.test(trial.label):
                trial.run()


def test_nobody_without_a_key_gets_in(briefly: BaseSchema, subtests: pytest.Subtests) -> None:
    """401 wherever the description asks for a key, and an answer as described elsewhere."""
    with requests.Session() as session:

        def ask(case: Case) -> None:
            status = check(case, session)
            if case.operation.definition.raw.get("security") is None:
                assert status == 401

        for trial in trials(briefly, ask):
            with subtests.test(trial.label):
                trial.run()
