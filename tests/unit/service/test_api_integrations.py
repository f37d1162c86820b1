"""A job's `integrations`: kept as OpenAI shows them, and refused where they cannot be had."""

from typing import Any

import httpx
import pytest
from openai.types.fine_tuning import FineTuningJob
from pydantic import SecretStr

from registry.errors import Invalid
from registry.reporting import Target, check_targets, read_integrations, targets_of
from registry.settings import Settings
from tests.service_api import uploaded

PATH = "/v1/fine_tuning/jobs"
RUN: dict[str, Any] = {"type": "wandb", "wandb": {"project": "support", "tags": ["first"]}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Return settings without a key for Weights & Biases."""
    return settings.model_copy(update={"wandb_mode": "online", "wandb_key": None})


async def create(client: httpx.AsyncClient, integrations: Any) -> httpx.Response:
    """Ask for a job."""
    body = {
        "model": "tiny-base",
        "training_file": await uploaded(client),
        "integrations": integrations,
    }
    return await client.post(PATH, json=body)


@pytest.mark.parametrize(
    "wrong",
    [
        [{"type": "wandb"}],
        [{"type": "wandb", "wandb": {}}],
        [{"type": "wandb", "wandb": {"project": ""}}],
        [{"type": "wandb", "wandb": {"project": "x" * 129}}],
        [{"type": "wandb", "wandb": {"project": "x", "tags": [""]}}],
        [{"type": "wandb", "wandb": {"project": "x", "tags": ["y"] * 33}}],
        [{"type": "wandb", "wandb": {"project": 3}}],
        [{"type": "comet", "comet": {"project": "x"}}],
        [RUN] * 5,
    ],
)
def test_what_is_no_integration_is_refused(wrong: Any) -> None:
    """The error names the field."""
    with pytest.raises(Invalid) as refused:
        read_integrations(wrong)
    assert refused.value.param == "integrations"


async def test_a_request_at_fault_makes_no_job(client: httpx.AsyncClient) -> None:
    """It is refused before anything is stored."""
    answer = await create(client, [{"type": "comet"}])
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "integrations")
    assert (await client.get(PATH)).json()["data"] == []


async def test_a_job_that_cannot_be_shown_is_not_made(client: httpx.AsyncClient) -> None:
    """Without key or library it is refused when it is created, not when it trains."""
    answer = await create(client, [RUN])
    assert answer.json()["error"]["code"] == "integration_unavailable"
    assert (await client.get(PATH)).json()["data"] == []


async def test_a_job_without_any_shows_null(client: httpx.AsyncClient) -> None:
    """As OpenAI's does."""
    nothings: list[Any] = [None, []]
    for none in nothings:
        assert (await create(client, none)).json()["integrations"] is None


def test_what_is_read_is_the_clients_own_type() -> None:
    """With its nulls; unknown words are left behind."""
    (read,) = read_integrations([{**RUN, "colour": "blue"}])
    wandb = {"project": "support", "name": None, "entity": None, "tags": ["first"]}
    assert {
        "type": read.type,
        "wandb": {name: getattr(read.wandb, name) for name in wandb},
    } == {"type": "wandb", "wandb": wandb}
    assert "integrations" in FineTuningJob.model_fields


@pytest.mark.parametrize(
    ("target", "changes", "asked"),
    [
        (Target.WANDB, {"wandb_mode": "offline"}, [RUN]),
        (Target.MLFLOW, {"mlflow_url": SecretStr("http://mlflow:5000")}, []),
        (Target.TENSORBOARD, {"tensorboard_dir": "/boards"}, []),
    ],
)
def test_a_missing_library_is_told_with_the_remedy(
    settings: Settings, target: Target, changes: dict[str, Any], asked: list[Any]
) -> None:
    """By the command that installs it."""
    chosen = settings.model_copy(update=changes)
    integrations = read_integrations(asked)
    assert targets_of(integrations, chosen) == [target]
    check_targets(integrations, chosen, has_library=lambda _: True)
    with pytest.raises(Invalid, match=rf"pip install 'graftline\[{target}\]'") as refused:
        check_targets(integrations, chosen, has_library=lambda _: False)
    assert refused.value.code == "integration_unavailable"


def test_a_missing_key_is_told_with_the_remedy(settings: Settings) -> None:
    """Nothing is sent without one."""
    online = settings.model_copy(update={"wandb_mode": "online"})
    with pytest.raises(Invalid, match="GRAFTLINE_WANDB_KEY"):
        check_targets(read_integrations([RUN]), online, has_library=lambda _: True)
    keyed = online.model_copy(update={"wandb_key": SecretStr("k")})
    check_targets(read_integrations([RUN]), keyed, has_library=lambda _: True)
