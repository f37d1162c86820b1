"""What a model makes of rows: loss, token accuracy, and log-probabilities of targets.

It refuses to know where the model comes from, and changes nothing in it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from registry.artifacts import ProbeRow
from registry.records import Record
from trainer.batches import NO_LOSS, Example, micro_batch_size, pad, pad_sequences

PROBE_ROWS = 4
"""Rows that the engine must answer as the trainer did."""


class Measured(Record, frozen=True, kw_only=True):
    """Means over the tokens that carry loss."""

    loss: float
    """Nats per token."""
    accuracy: float
    """Share of tokens that were the likeliest."""


class TokenLoss:
    """The training loss, which counts on the side how many tokens were the likeliest."""

    def __init__(self) -> None:
        self._correct: torch.Tensor | int = 0
        self._count = 0

    def __call__(
        self,
        outputs: Any,  # noqa: ANN401 - transformers ships no types
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the mean loss; over the whole optimiser batch when its token count is given.

        Args:
            outputs: The model's; logits of shape (rows, positions or more, vocabulary).
            labels: The token that each position predicts, shape (rows, positions).
            num_items_in_batch: Tokens that carry loss in the whole optimiser batch.
        """
        chosen = labels != NO_LOSS
        logits = outputs.logits[:, : labels.shape[1]][chosen].float()
        targets = labels[chosen]
        with torch.no_grad():
            self._correct = self._correct + (logits.argmax(-1) == targets).sum()
        self._count += len(targets)
        total = functional.cross_entropy(logits, targets, reduction="sum")
        return total / (len(targets) if num_items_in_batch is None else num_items_in_batch)

    def take_accuracy(self) -> float:
        """Return the accuracy since the last call."""
        accuracy = float(self._correct) / max(1, self._count)
        self._correct, self._count = 0, 0
        return accuracy


def tensors(examples: Sequence[Example], padding: int) -> dict[str, torch.Tensor]:
    """Return examples as one padded batch of tensors, each of shape (rows, length)."""
    batch = pad(examples, padding)
    return {
        "input_ids": torch.tensor(batch.input_ids),
        "attention_mask": torch.tensor(batch.attention_mask),
        "labels": torch.tensor(batch.labels),
    }


def packed_tensors(sequences: Sequence[Sequence[Example]], padding: int) -> dict[str, Any]:
    """Return sequences of several examples as one batch, each tensor of shape (sequences, length).

    transformers separates the examples by their places, and only where it is given no mask and
    keeps no cache.
    """
    batch = pad_sequences(sequences, padding)
    return {
        "input_ids": torch.tensor(batch.input_ids),
        "position_ids": torch.tensor(batch.position_ids),
        "use_cache": False,
        "labels": torch.tensor(batch.labels),
    }


@torch.no_grad()
def measure(model: Any, examples: Sequence[Example], padding: int) -> Measured:  # noqa: ANN401 - transformers ships no types
    """Return a model's loss and accuracy on examples."""
    was_training = model.training
    model.eval()
    by_length = sorted(examples, key=lambda example: len(example.input_ids))
    size = micro_batch_size(16, len(by_length[-1].input_ids))
    loss = torch.zeros((), dtype=torch.float64)
    correct = targets = 0
    for start in range(0, len(by_length), size):
        batch = tensors(by_length[start : start + size], padding)
        labels = batch.pop("labels")[:, 1:]
        inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
        chosen = labels != NO_LOSS
        logits = model(**inputs).logits[:, :-1][chosen.to(model.device)].float().cpu()
        wanted = labels[chosen]
        loss += functional.cross_entropy(logits, wanted, reduction="sum").double()
        correct += int((logits.argmax(-1) == wanted).sum())
        targets += len(wanted)
    model.train(was_training)
    return Measured(loss=float(loss) / targets, accuracy=correct / targets)


def choose_probe_examples(examples: Sequence[Example]) -> list[Example]:
    """Return the shortest examples, which cost the engine least."""
    return sorted(examples, key=lambda example: (len(example.input_ids), example.input_ids))[
        :PROBE_ROWS
    ]


@torch.no_grad()
def probe(adapted: Any, examples: Sequence[Example]) -> list[ProbeRow]:  # noqa: ANN401 - peft ships no types
    """Return log-probabilities of each example's last answer, with and without the adapter."""
    adapted.eval()
    rows = []
    for example in examples:
        start = _last_answer_start(example)
        with adapted.disable_adapter():
            base = _target_logprobs(adapted, example, start)
        rows.append(
            ProbeRow(
                token_ids=example.input_ids,
                target_start=start,
                base_logprobs=base,
                adapter_logprobs=_target_logprobs(adapted, example, start),
            )
        )
    return rows


def _last_answer_start(example: Example) -> int:
    index = len(example.labels)
    while index > 1 and example.labels[index - 1] != NO_LOSS:
        index -= 1
    return index


def _target_logprobs(model: Any, example: Example, start: int) -> list[float]:  # noqa: ANN401 - peft ships no types
    token_ids = torch.tensor([example.input_ids], device=model.device)
    logits = model(input_ids=token_ids).logits[0, start - 1 : -1].float()
    logprobs = functional.log_softmax(logits, dim=-1)
    targets = token_ids[0, start:, None]
    return [float(value) for value in logprobs.gather(1, targets)[:, 0]]
