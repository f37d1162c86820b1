"""The training loss, from the logits of every position and from those alone that it needs."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from trainer.adapter_trainer import AdapterTrainer, Layout
from trainer.batches import NO_LOSS, Example
from trainer.measuring import TokenLoss

VOCABULARY = 64
ROWS = [
    Example(input_ids=list(range(10, 30)), labels=[NO_LOSS] * 12 + list(range(22, 30))),
    Example(input_ids=list(range(40, 55)), labels=[NO_LOSS] * 5 + list(range(45, 55))),
]


def collated(*, picks_positions: bool) -> dict[str, torch.Tensor]:
    """Return both rows as the trainer feeds them."""
    trainer = SimpleNamespace(
        _padding=0, _picks_positions=picks_positions, layout=Layout(tokens=4096, packing=False)
    )
    return AdapterTrainer._batch(cast("Any", trainer), [[row] for row in ROWS])


def test_logits_of_targets_alone_give_the_same_loss() -> None:
    """A model that cannot pick positions, and one that can, learn the same."""
    whole, picked = collated(picks_positions=False), collated(picks_positions=True)
    logits = torch.randn(2, 20, VOCABULARY, generator=torch.Generator().manual_seed(1))
    kept = logits[:, picked["logits_to_keep"]]
    losses = [
        float(TokenLoss()(SimpleNamespace(logits=given), batch["labels"]))
        for given, batch in ((logits, whole), (kept, picked))
    ]
    assert losses[0] == pytest.approx(losses[1])
    assert kept.shape[1] < logits.shape[1]
    assert "logits_to_keep" not in whole
