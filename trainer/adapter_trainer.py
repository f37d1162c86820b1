"""transformers' Trainer with our batches, in our order, and the token accuracy in its log.

It refuses to know why the order is what it is.
"""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from accelerate.data_loader import prepare_data_loader
from peft import LoraConfig, PeftModel
from peft.helpers import disable_input_dtype_casting
from peft.optimizers import create_loraplus_optimizer
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer

from registry.records import Record
from trainer.batches import NO_LOSS, BatchOrder, Example
from trainer.measuring import Measured, TokenLoss, measure, packed_tensors, tensors
from trainer.packing import lay_out


def is_lora(model: Any) -> bool:  # noqa: ANN401 - transformers ships no types
    """Return whether a model trains an adapter of PEFT's LoRA, in whatever form."""
    return isinstance(model, PeftModel) and isinstance(model.active_peft_config, LoraConfig)


class Layout(Record, frozen=True, kw_only=True):
    """How a step's rows go through the model."""

    tokens: int
    """Most tokens, padding included, at once; a longer sequence goes alone."""
    packing: bool
    """Whether rows share sequences."""


class AdapterTrainer(Trainer):  # type: ignore[misc]  # transformers ships no types
    """Feeds our batches in our order, and logs the token accuracy beside the loss.

    To transformers a batch is a whole optimiser step; it is cut into micro-batches here. So their
    number may differ from step to step, and a run may change it when it resumes.
    """

    accuracy_name = "mean_token_accuracy"
    """What the accuracy in the log is called in events."""

    def __init__(
        self,
        *,
        order: BatchOrder,
        padding: int,
        layout: Layout,
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
        self.layout = layout
        """How a step's rows go through the model."""
        self._lengths = [example.length for example in self.train_dataset]
        inner = self.model.get_base_model() if isinstance(self.model, PeftModel) else self.model
        forward = inspect.signature(inner.forward)
        self._picks_positions = "logits_to_keep" in forward.parameters
        # Autocast brings the inputs of a LoRA to 16 bits. To bring them to its weights' 32 bits
        # first cost an eighth of a step.
        self._casts_twice = self.args.bf16 and is_lora(self.model)
        self.tokens_seen = 0
        """Tokens fed to the model since this process began, by all processes, padding excluded."""

    def get_train_dataloader(self) -> Any:  # noqa: ANN401 - accelerate ships no types
        """Return the steps; each process of several takes its share of every step's rows."""
        loader: DataLoader[int] = DataLoader(
            range(len(self._lengths)),  # type: ignore[arg-type]  # the rows' numbers
            batch_sampler=self._order,
            collate_fn=self._collate,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return prepare_data_loader(
            loader, self.args.device, num_processes=1, process_index=0, put_on_device=True
        )

    def training_step(
        self,
        model: Any,  # noqa: ANN401 - transformers ships no types
        inputs: dict[str, Any],
        num_items_in_batch: object = None,
    ) -> torch.Tensor:
        """Return a step's loss, the mean over all its targets, and leave its gradients."""
        del num_items_in_batch  # counted when the step was laid out
        model.train()
        # Processes average their gradients: each counts its part so often that the mean is the sum.
        targets = inputs["targets"] / self.args.world_size
        losses = []
        last = len(inputs["micro_batches"]) - 1
        with disable_input_dtype_casting(model, active=self._casts_twice):
            for index, batch in enumerate(inputs["micro_batches"]):
                with self._waits(model) if index < last else nullcontext():
                    loss = self.compute_loss(model, dict(batch), num_items_in_batch=targets)
                    self.accelerator.backward(loss)
                losses.append(loss.detach())
        self.tokens_seen += inputs["tokens"]
        return torch.stack(losses).sum()

    def floating_point_ops(self, _inputs: object) -> int:
        """Return 0: nobody asks for the sum, and it cannot be read from a step."""
        return 0

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

    def _weight(self, example: Example) -> int:
        """Return how much an example counts in the mean loss of a step: by its targets."""
        return example.targets

    def _waits(self, model: Any) -> AbstractContextManager[None]:  # noqa: ANN401 - transformers ships no types
        """Return a block in which the processes do not exchange gradients yet."""
        waiting: AbstractContextManager[None] = self.accelerator.no_sync(model)
        return waiting

    def _collate(self, rows: Sequence[int]) -> dict[str, Any]:
        """Return a step: its micro-batches, its targets and its tokens."""
        share = list(rows)[self.args.process_index :: self.args.world_size] or [rows[0]]
        is_spare = len(rows) <= self.args.process_index
        batches = lay_out(
            share, self._lengths, tokens=self.layout.tokens, packing=self.layout.packing
        )
        return {
            "micro_batches": [
                self._batch([[self._example(row, is_spare) for row in part] for part in batch])
                for batch in batches
            ],
            "targets": sum(self._weight(self.train_dataset[row]) for row in rows),
            "tokens": sum(self._lengths[row] for row in rows),
        }

    def _example(self, row: int, is_spare: bool) -> Example:  # noqa: FBT001 - of one step's share
        """Return a row; one that another process learns from is fed without loss."""
        example: Example = self.train_dataset[row]
        if not is_spare:
            return example
        return Example(input_ids=example.input_ids, labels=[NO_LOSS] * len(example.labels))

    def _batch(self, sequences: Sequence[Sequence[Example]]) -> dict[str, Any]:
        """Return a micro-batch whose labels stand at the positions that predict them.

        Logits are wanted only where a row of the batch has a target: prompts are long, and a
        vocabulary is large.
        """
        batch: dict[str, Any]
        if self.layout.packing:
            batch = packed_tensors(sequences, self._padding)
        else:
            batch = tensors([example for [example] in sequences], self._padding)
        labels = batch["labels"][:, 1:]
        if self._picks_positions:
            batch["logits_to_keep"] = (labels != NO_LOSS).any(0).nonzero()[:, 0]
            labels = labels[:, batch["logits_to_keep"]]
        batch["labels"] = labels
        return batch
