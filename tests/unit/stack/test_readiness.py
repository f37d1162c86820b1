"""What `/health/ready` still misses."""

import json
from typing import Any

import pytest

from service.stack.readiness import Answer, answers, missing_parts
from tests.processes import free_ports


def answer(status: int, body: Any) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, json.dumps(body).encode())


def test_nothing_is_missing_when_all_is_well() -> None:
    """Status 200 and every part well."""
    assert missing_parts(answer(200, {"parts": {"engine": {"ok": True, "detail": ""}}})) == []


def test_a_part_that_does_not_decide_is_missed_too() -> None:
    """The service serves without a trainer, the stack is not ready without it."""
    body = {"parts": {"trainer": {"ok": False, "detail": "was never heard of"}}}
    assert missing_parts(answer(200, body)) == ["trainer: was never heard of"]


@pytest.mark.parametrize("body", [None, [], {}, {"parts": []}, {"parts": {"engine": {}}}])
def test_an_answer_without_sense_is_no_readiness(body: Any) -> None:
    """Whatever listens there, it is not our service."""
    assert missing_parts(answer(200, body))


def test_no_answer_is_no_readiness() -> None:
    """Nobody listens on the port."""
    assert missing_parts(Answer(0))
    assert not answers(f"http://127.0.0.1:{free_ports(1)[0]}/health")
