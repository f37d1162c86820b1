"""The example data's adapter, trained once for every test that needs a good one.

It refuses to know what is tested on it.
"""

from dataclasses import dataclass
from typing import Any

import httpx
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.integration.examples import rows_of, upload
from tests.integration.stack import Stack
from tests.integration.waiting import until

TRAINING_SECONDS = 800.0
"""Longest time of the training; a test that runs beside it makes it twice as long."""
READY_SECONDS = 120.0
"""Longest time until a published version is loaded and examined."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished job and what it was made of."""

    job: FineTuningJob
    """The job, succeeded."""
    model: str
    """The adapter version it made."""
    adapter: dict[str, Any]
    """The version as the API shows it once it is loaded and examined."""
    heldout: list[dict[str, Any]]
    """The rows it never saw."""
    engine_pids: tuple[int | None, int | None]
    """The vLLM process before the training, and once the version was ready."""


def train(stack: Stack) -> Trained:
    """Upload the example data, train on it, and wait until the version is ready."""
    heldout = rows_of("heldout.jsonl")
    before = stack.pids()["engine"]
    with OpenAI(base_url=f"{stack.url}/v1", api_key=stack.admin_key, max_retries=0) as client:
        job = client.fine_tuning.jobs.create(
            model="tiny-base",
            training_file=upload(client, rows_of("train.jsonl")),
            validation_file=upload(client, heldout),
            suffix="loop",
            seed=7,
            metadata={"team": "support"},
        )

        def ended() -> FineTuningJob | None:
            present = client.fine_tuning.jobs.retrieve(job.id)
            return present if present.status in {"succeeded", "failed", "cancelled"} else None

        done = until(ended, seconds=TRAINING_SECONDS)
        assert done.status == "succeeded", done.error
        assert done.fine_tuned_model
        model = done.fine_tuned_model

        def examined() -> dict[str, Any] | None:
            found: dict[str, Any] = httpx.get(
                f"{stack.url}/v1/adapters/{model}",
                headers={"Authorization": f"Bearer {stack.admin_key}"},
            ).json()
            return None if found["status"] == "published" else found

        adapter = until(examined, seconds=READY_SECONDS)
    return Trained(
        job=done,
        model=model,
        adapter=adapter,
        heldout=heldout,
        engine_pids=(before, stack.pids()["engine"]),
    )
