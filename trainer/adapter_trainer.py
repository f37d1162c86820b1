"""transformers' Trainer with our batches, in our order, and the token accuracy in its log.

It refuses to know why the order is what it is.
"""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer

from trainer.batches import NO_LOSS, BatchOrder, Example
from trainer.measuring import TokenLoss, tensors


class AdapterTrainer(Trainer):  # type: ignore[misc]  # transformers ships no types
    """Feeds our batches in our order, and logs the token accuracy beside the loss."""

    def __init__(self, *, order: BatchOrder, padding: int, **options: Any) -> None:  # noqa: ANN401 - transformers ships no types
        self._loss = TokenLoss()
        super().__init__(compute_loss_func=self._loss, **options)
        self.remove_callback(PrinterCallback)
        self._order = order
        self._padding = padding
        forward = inspect.signature(self.model.get_base_model().forward)
        self._picks_positions = "logits_to_keep" in forward.parameters
        self.tokens_seen = 0
        """Tokens fed to the model by this process, padding excluded."""

    def get_train_dataloader(self) -> Any:  # noqa: ANN401 - accelerate ships no types
        """Return the batches; accelerate moves them to the device and skips what was done."""
        return self.accelerator.prepare(
            DataLoader(
                self.train_dataset,
                batch_sampler=self._order,
                collate_fn=self._collate,
                pin_memory=self.args.dataloader_pin_memory,
            )
        )

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the token accuracy to a line of losses."""
        if "loss" in logs:
            logs["accuracy"] = self._loss.take_accuracy()
        super().log(logs, start_time)

    def _collate(self, examples: Sequence[Example]) -> dict[str, torch.Tensor]:
        """Return a batch whose labels stand at the positions that predict them.

        Logits are wanted only where a row of the batch has a target: prompts are long, and a
        vocabulary is large.
        """
        self.tokens_seen += sum(len(example.input_ids) for example in examples)
        batch = tensors(examples, self._padding)
        labels = batch["labels"][:, 1:]
        if self._picks_positions:
            batch["logits_to_keep"] = (labels != NO_LOSS).any(0).nonzero()[:, 0]
            labels = labels[:, batch["logits_to_keep"]]
        batch["labels"] = labels
        return batch
