"""Weights that stay in vLLM's memory: the routines that stand around vLLM's own."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch

from service.stack.lora_memory import copied, released


@dataclass
class Client:
    """The engine's client, as vLLM's server has it."""

    removed: list[int] = field(default_factory=list)

    async def remove_lora(self, number: int) -> None:
        """Note that weights were given up."""
        self.removed.append(number)


@dataclass
class Models:
    """The names that vLLM's server knows."""

    lora_requests: dict[str, SimpleNamespace]
    engine_client: Client = field(default_factory=Client)

    async def unload_lora_adapter(self, request: SimpleNamespace) -> str:
        """Forget a name, as vLLM does; a name that is not known stays unknown."""
        return "done" if self.lora_requests.pop(request.lora_name, None) else "cannot be found"


def test_weights_are_copies_of_what_was_read() -> None:
    """What happens to the file afterwards does not reach them; a missing one stays missing."""
    mapped = torch.ones(2, 3)
    layer = SimpleNamespace(lora_a=mapped, lora_b=None)
    read = copied(lambda _manager, _request: SimpleNamespace(loras={"layer": layer}))
    found = read(None, None).loras["layer"]
    mapped.zero_()
    assert found.lora_a.eq(1).all()
    assert found.lora_b is None


@pytest.mark.parametrize(("name", "removed"), [("known", [7]), ("unknown", [])])
async def test_what_is_unloaded_leaves_the_memory(name: str, removed: list[int]) -> None:
    """The weights go with the name; nothing goes for a name that was not there."""
    models = Models({"known": SimpleNamespace(lora_int_id=7)})
    unload = released(Models.unload_lora_adapter)
    answer = await unload(models, SimpleNamespace(lora_name=name))
    assert answer == ("done" if removed else "cannot be found")
    assert models.engine_client.removed == removed
