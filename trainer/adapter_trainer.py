"""transformers' Trainer with our batches, in our order, and the token accuracy in its log.

It refuses to know why the order is what it is.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from peft import PeftModel
from peft.optimizers import create_loraplus_optimizer
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer

from trainer.batches import NO_LOSS, BatchOrder, Example
from trainer.measuring import Measured, TokenLoss, measure, tensors


class AdapterTrainer(Trainer):  # type: ignore[misc]  # transformers ships no types
    """Feeds our batches in our order, and logs the token accuracy beside the loss."""

    accuracy_name = "mean_token_accuracy"
    """What the accuracy in the log is called in events."""

    def __init__(
        self,
        *,
        order: BatchOrder,
        padding: int,
        objective: Any = None,  # noqa: ANN401 - a loss as transformers calls it
        lora_plus_ratio: float | None = None,
        **options: Any,  # noqa: ANN401 - transformers ships no types
    ) -> None:
        self._loss = TokenLoss()
        self._lora_plus_ratio = lora_plus_ratio
        super().__init__(compute_loss_func=objective or self._loss, **options)
        self.remove_callback(PrinterCallback)
        self._order = order
        self._padding = padding
        inner = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        forward = inspect.signature(inner.forward)
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
            logs.update(self._taken())
        super().log(logs, start_time)

    def measure(self, examples: Sequence[Example]) -> Measured:
        """Return loss and accuracy on held-out rows."""
        return measure(self.model, examples, self._padding)

    def create_optimizer(self, model: Any = None) -> Any:  # noqa: ANN401 - transformers ships no types
        """Return the optimiser; with LoRA+ the matrices B learn faster than A."""
        if self._lora_plus_ratio is None:
            return super().create_optimizer(model)
        kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        rate = options.pop("lr")
        self.optimizer = create_loraplus_optimizer(
            self.model, kind, lr=rate, loraplus_lr_ratio=self._lora_plus_ratio, **options
        )
        return self.optimizer

    def _taken(self) -> Mapping[str, float]:
        return {"accuracy": self._loss.take_accuracy()}

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
