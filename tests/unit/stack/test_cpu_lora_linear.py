"""Adapters of linear layers on the CPU engine: two products a slice, for the right tokens alone."""

from types import SimpleNamespace

import pytest
import torch

from service.stack.cpu_lora_linear import add_lora_linear, by_slot, looking_up

SLOTS, RANK, HIDDEN, WIDTHS = 3, 2, 5, (4, 3)
APART, TOGETHER = [0, -1, 2, 2, 0, 1], [-1, 0, 0, 2, 2, 2]


class Step(SimpleNamespace):
    """What knows the slots of a step's tokens, as vLLM's own object does."""

    def update(self, indices: torch.Tensor) -> None:
        """Take note of a step."""
        self.token_lora_indices = indices


def step(indices: list[int]) -> Step:
    """Return a step whose tokens have these slots."""
    made = Step()
    looking_up(Step.update)(made, torch.tensor(indices))
    return made


@pytest.mark.parametrize("indices", [APART, TOGETHER, [2] * 6, [-1] * 6])
@pytest.mark.parametrize("scale", [1.0, 0.5])
def test_each_token_meets_its_own_adapter(indices: list[int], scale: float) -> None:
    """`scale · B A x` is added in every slice, and nothing for a token without an adapter."""
    draw = torch.Generator().manual_seed(0)
    a = [torch.randn(SLOTS, 1, RANK, HIDDEN, generator=draw) for _ in WIDTHS]
    b = [torch.randn(SLOTS, 1, width, RANK, generator=draw) for width in WIDTHS]
    x = torch.randn(6, HIDDEN, generator=draw)
    before = torch.randn(6, sum(WIDTHS), generator=draw)
    after = before.clone()
    add_lora_linear(step(indices), after, x, a, b, scale, WIDTHS)
    for token, slot in enumerate(indices):
        added = torch.zeros(sum(WIDTHS))
        if slot >= 0:
            added = scale * torch.cat(
                [
                    outer[slot, 0] @ (inner[slot, 0] @ x[token])
                    for inner, outer in zip(a, b, strict=True)
                ]
            )
        torch.testing.assert_close(after[token], before[token] + added)


def test_another_step_is_another_look() -> None:
    """The slots of the step before are forgotten."""
    one = step([0, 0])
    looking_up(Step.update)(one, torch.tensor([-1, -1]))
    output = torch.zeros(2, 3)
    weights = [torch.ones(SLOTS, 1, RANK, HIDDEN)], [torch.ones(SLOTS, 1, 3, RANK)]
    add_lora_linear(one, output, torch.ones(2, HIDDEN), *weights, 1.0, (3,))
    assert output.eq(0).all()


def test_tokens_that_stand_together_are_a_slice() -> None:
    """Those apart are told one by one."""
    found = dict(by_slot(torch.tensor(TOGETHER)))
    assert found == {0: slice(1, 3), 2: slice(3, 6)}
    apart = dict(by_slot(torch.tensor(APART)))
    assert apart[0].tolist() == [0, 4]
    assert (apart[1], apart[2]) == (slice(5, 6), slice(2, 4))
