"""The model families least like Llama, through the real vLLM; `make families` tries them all."""

from pathlib import Path

import pytest

from registry.lifecycle import AdapterStatus
from registry.settings import Settings
from tests.families.examination import examine

pytestmark = [pytest.mark.integration, pytest.mark.engine, pytest.mark.slow]


@pytest.mark.parametrize("family", ["phi3", "qwen3-moe"])
async def test_a_familys_adapter_is_served_as_it_was_trained(family: str, tmp_path: Path) -> None:
    """It changes the engine's log-probabilities, and they agree with transformers'."""
    seen = await examine(family, tmp_path)
    assert seen.version.status is AdapterStatus.READY, seen.version.reason
    probe = seen.version.probe or {}
    assert probe["effect_nats"] >= Settings().probe_min_effect_nats
    # Far below the tolerance, which a part that is not applied can stay below too.
    assert probe["difference_nats"] <= 0.05 + 2 * probe["base_difference_nats"]
