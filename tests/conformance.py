"""Requests made from the API's own description, and what every answer to them must be.

It refuses to know which service answers. The requests are the same in every run.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

SECONDS = 30.0
"""Longest wait for one answer."""
_CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    ignored_auth,
    unsupported_method,
]
Case = schemathesis.Case[Any]
"""One request."""
_VALUES: Mapping[str, Sequence[str | int | float]] = {
    "hostile": [
        "..%2f..%2fetc%2fpasswd",
        "../../../../etc/passwd",
        "a\x00b",
        "%00",
        "\u202e\U0001f600",
        "x" * 5000,
        "' OR 1=1 --",
        "-1",
    ],
    "shares": [0.0, 0.25, 0.5, 1.0, 1e308, -1e-9],
    "counts": [0, 1, 10, 86_400, 2**31, 2**63, -(2**63) - 1, 10**30],
    "new": ["billing", "returns", "claims"],
    "purposes": ["fine-tune", "evals"],
    "kinds": ["text/jsonl"],
    "events": ["fine_tuning.job.failed"],
    "days": ["2026-11-01", "2026-11-30", "0001-01-01", "9999-12-31", "2026-02-30"],
    "groups": ["key", "model,day", "key,model,day", ","],
}
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]
_SOMEWHERE = {
    "path.file_id": "files",
    "path.job_id": "jobs",
    "path.evaluation_id": "evaluations",
    "path.interaction_id": "interactions",
    "path.response_id": "interactions",
    "path.key_id": "keys",
    "path.upload_id": "uploads",
    "path.webhook_endpoint_id": "webhooks",
    "body.purpose": "purposes",
    "body.mime_type": "kinds",
    "body.event_type": "events",
    "query.model": "models",
    "query.start": "days",
    "query.end": "days",
    "query.group_by": "groups",
    "body.name": "new",
    "body.suffix": "new",
    "body.model": "models",
    "body.stable": "models",
    "body.candidate": "versions",
    "body.shadow": "versions",
    "body.training_file": "files",
    "body.validation_file": "files",
    "body.heldout_file": "files",
    "body.interaction_id": "interactions",
}
_AT = {
    "/v1/files": {"query.after": "files", "body.file": "rows"},
    "/v1/fine_tuning/jobs": {"query.after": "jobs"},
    "/v1/models/{name}": {"path.name": "models"},
    "/v1/fine_tuning/checkpoints/{name}": {"path.name": "permissions"},
    "/v1/webhook_endpoints": {"query.after": "webhooks", "body.url": "hooks"},
    "/v1/webhook_endpoints/{webhook_endpoint_id}": {"body.url": "hooks"},
    "/v1/adapters": {"query.after": "versions"},
    "/v1/adapters/{name}": {"path.name": "versions"},
    "/v1/deployments/{name}": {"path.name": "deployments"},
    "/v1/deployments/{name}/history": {"path.name": "deployments"},
    "/v1/deployments/{name}/promote": {"path.name": "deployments"},
    "/v1/deployments/{name}/rollback": {"path.name": "deployments"},
    "/v1/evaluations": {"query.after": "evaluations", "body.model": "versions"},
    "/v1/interactions": {"query.after": "interactions", "query.deployment": "deployments"},
}


def described_api(
    url: str, known: Mapping[str, Sequence[str]], *, examples: int, coverage: bool
) -> BaseSchema:
    """Return the description that a service publishes, ready to make requests of it.

    Args:
        url: The service's address.
        known: Names that exist, by what they name; half of the names that are sent are such.
        examples: Random requests to each operation, some valid and some not.
        coverage: Whether each bound and type of each field is tried too, and every other method.
    """
    values = {**_VALUES, **known}
    config: dict[str, Any] = {
        "seed": 1,
        "suppress-health-check": ["all"],
        "dictionaries": {name: {"values": list(each)} for name, each in values.items() if each},
        "parameters": _bound(_SOMEWHERE, known),
        "operations": [
            *(
                {**_operations(place), "parameters": _bound(names, known)}
                for place, names in _AT.items()
            ),
            # The same handler as PATCH, whose bounds are tried.
            {
                "include-name": "POST /v1/deployments/{name}",
                "phases": {"coverage": {"enabled": False}},
            },
        ],
        "generation": {
            "deterministic": True,
            "max-examples": examples,
            "no-shrink": True,
            "dictionaries": {
                "string": {"dictionary": "hostile", "probability": 0.1},
                "number": {"dictionary": "shares", "probability": 0.4},
                "integer": {"dictionary": "counts", "probability": 0.4},
            },
        },
        "phases": {
            "examples": {"enabled": False},
            "fuzzing": {"extra-data-sources": {"responses": False}},
            "coverage": {
                "enabled": coverage,
                "generate-duplicate-query-parameters": True,
                "unexpected-methods": _METHODS,
            },
        },
    }
    return schemathesis.openapi.from_url(
        f"{url}/schema/openapi.json", config=schemathesis.Config.from_dict(config)
    )


@dataclass(frozen=True)
class Trial:
    """All requests to one operation."""

    label: str
    """Method and path."""
    run: Callable[[], None]
    """Sends them."""


def trials(schema: BaseSchema, ask: Callable[[Case], None]) -> Iterator[Trial]:
    """Yield each operation's requests; each of them is handed to `ask`."""

    # Named as the library wants it; its own decorator does not know this pytest yet.
    def asked(case: Case) -> None:
        ask(case)

    found = []
    for each in get_all_tests(schema=schema, test_func=asked, settings=None, given_kwargs={}):
        assert isinstance(each, Ok), each.err()
        found.append(each.ok())
    # Last what takes away, so that the others find what they ask for.
    for operation, run in sorted(found, key=lambda each: each[0].method == "delete"):
        yield Trial(operation.label, run)


def check(case: Case, session: requests.Session) -> int:
    """Send one request, check that its answer is as described, and return the status.

    Raises:
        FailureGroup: With everything that is not.
    """
    answer = case.call_and_validate(session=session, checks=_CHECKS, timeout=SECONDS)
    return answer.status_code


def _operations(place: str) -> dict[str, str]:
    return {"include-name" if " " in place else "include-path": place}


def _bound(
    places: Mapping[str, str], known: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, str | float]]:
    return {
        place: {"dictionary": name, "probability": 0.5}
        for place, name in places.items()
        if known.get(name) or name in _VALUES
    }
