"""LoRA on the CPU engine: the routines that stand in for vLLM's."""

from types import SimpleNamespace

import pytest
import torch

from service.stack.cpu_lora import (
    bgmv_expand,
    bgmv_expand_slice,
    bgmv_shrink,
    for_frozen_experts,
)

SLOTS, RANK, WIDTH = 3, 2, 5
TOKENS = torch.tensor([0, -1, 2, 2, -1, 1])


@pytest.fixture
def draw() -> torch.Generator:
    """Return a seeded generator."""
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("indices", [TOKENS, torch.tensor([2] * 6), torch.tensor([-1] * 6)])
def test_each_token_meets_its_own_adapter(indices: torch.Tensor, draw: torch.Generator) -> None:
    """`B A x` is added for a token with an adapter, and nothing for one without."""
    a = torch.randn(SLOTS, 1, RANK, WIDTH, generator=draw)
    b = torch.randn(SLOTS, 1, WIDTH, RANK, generator=draw)
    x, before = torch.randn(6, WIDTH, generator=draw), torch.randn(6, WIDTH, generator=draw)
    buffer, after = torch.full((6, RANK), 7.0), before.clone()
    bgmv_shrink(x, a, buffer, indices, 0.5)
    bgmv_expand(buffer, b, after, indices, add_inputs=True)
    for token, slot in enumerate(indices.tolist()):
        added = 0.5 * (b[slot, 0] @ (a[slot, 0] @ x[token])) if slot >= 0 else 0.0
        torch.testing.assert_close(after[token], before[token] + added)


def test_a_slice_touches_its_own_columns(draw: torch.Generator) -> None:
    """Of packed projections only one is changed."""
    b = torch.randn(SLOTS, 3, RANK, generator=draw)
    x, output = torch.randn(6, RANK, generator=draw), torch.zeros(6, 8)
    bgmv_expand_slice(x, b, output, TOKENS, 4, 3, add_inputs=True)
    assert output[:, :4].eq(0).all()
    assert output[:, 7:].eq(0).all()
    torch.testing.assert_close(output[2, 4:7], b[2] @ x[2])
    assert output[1].eq(0).all()


def test_without_adding_a_token_without_an_adapter_gets_zero(draw: torch.Generator) -> None:
    """What stood there before is replaced."""
    b = torch.randn(SLOTS, 1, WIDTH, RANK, generator=draw)
    x, output = torch.randn(6, RANK, generator=draw), torch.ones(6, WIDTH)
    bgmv_expand(x, b, output, TOKENS, add_inputs=False)
    assert output[1].eq(0).all()
    torch.testing.assert_close(output[0], b[0, 0] @ x[0])


def test_experts_are_chosen_as_if_there_were_no_adapters() -> None:
    """The engine's own configuration stays as it is."""
    config = SimpleNamespace(is_lora_enabled=True, experts=4)
    choose = for_frozen_experts(lambda moe_config: vars(moe_config).copy())
    assert choose(moe_config=config) == {"is_lora_enabled": False, "experts": 4}
    assert config.is_lora_enabled
