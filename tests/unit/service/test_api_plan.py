"""`POST /v1/evaluations/plan`: how many rows show an effect, and the reverse."""

from typing import Any

import httpx
import pytest

PLAN = "/v1/evaluations/plan"


async def test_rows_for_an_effect(client: httpx.AsyncClient) -> None:
    """The published value: a variance of 1/9 and an effect of 0.03 need 969 rows."""
    body = {"outcome": "continuous", "variance": 1 / 9, "effect": 0.03}
    found = (await client.post(PLAN, json=body)).json()
    assert (found["object"], found["rows"], found["method"]) == (
        "evaluation.plan",
        969,
        "paired z",
    )


async def test_an_effect_for_rows(client: httpx.AsyncClient) -> None:
    """14,744 rows in each of two arms show a step from 0.10 to 0.11."""
    body = {"design": "independent", "rate": 0.1, "rows": 14_744}
    found = (await client.post(PLAN, json=body)).json()
    assert found["effect"] == pytest.approx(0.01, abs=1e-6)
    assert found["rows_in_all"] == 29_488


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "effect"),
        ({"effect": 0.1, "alpha": 3}, "alpha"),
        ({"effect": 0.1, "design": "crossed"}, "design"),
        ({"outcome": "continuous", "effect": 0.1}, "variance"),
    ],
)
async def test_a_question_at_fault_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], param: str
) -> None:
    """The field is named."""
    answer = await client.post(PLAN, json=body)
    assert answer.status_code == 400
    assert param in answer.json()["error"]["message"] + str(answer.json()["error"]["param"])
