"""Direct preference optimisation: pairs of answers, their reference, the loss and what it shows.

It refuses to know tokenizers, the Trainer and where the model comes from.

The loss is that of Rafailov et al. (arXiv 2305.18290, equation 7): with the policy's and the
reference's log-probabilities of the better answer w and the worse one l,
`-log sigmoid(beta · ((policy(w) - reference(w)) - (policy(l) - reference(l))))`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import torch
from torch.nn import functional

from trainer.batches import NO_LOSS, Example, Preference
from trainer.measuring import Measured, tensors

ROWS_MEASURED = 8
"""Pairs that go through the model at once when nothing is learned from them."""
REWARDS = ("chosen_reward", "rejected_reward", "reward_margin")
"""What the log tells beside loss and accuracy: means over pairs."""


class PreferenceLoss:
    """The loss of pairs, which counts on the side what the pairs' rewards are.

    An answer's reward is beta times the log-ratio of policy and reference (arXiv 2305.18290,
    section 4). The rows of a batch are the better answers, then the worse ones in the same order.
    """

    def __init__(self, beta: float) -> None:
        self._beta = beta
        self._sums = torch.zeros(3, dtype=torch.float64)
        self._pairs = 0
        self.reference: torch.Tensor | None = None
        """The reference's log-probabilities for the next call, shape (pairs, 2)."""

    def __call__(
        self,
        outputs: Any,  # noqa: ANN401 - transformers ships no types
        labels: torch.Tensor,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the mean loss; over the whole optimiser batch when its count of pairs is given.

        Args:
            outputs: The model's; logits of shape (2 · pairs, positions or more, vocabulary).
            labels: The token that each position predicts, shape (2 · pairs, positions).
            num_items_in_batch: Pairs in the whole optimiser batch.
        """
        if self.reference is None:
            raise ValueError("pairs without a reference")
        ratios = answer_logprobs(outputs.logits, labels) - self.reference
        rewards = self._beta * ratios
        margins = rewards[:, 0] - rewards[:, 1]
        with torch.no_grad():
            correct = (margins > 0).sum()
            seen = torch.stack([correct, *rewards.sum(0)]).double().cpu()
            self._sums += seen
            self._pairs += len(margins)
        total = -functional.logsigmoid(margins).sum()
        return total / (len(margins) if num_items_in_batch is None else num_items_in_batch)

    def take(self) -> dict[str, float]:
        """Return means since the last call: share of pairs in the right order, and rewards."""
        correct, better, worse = (self._sums / max(1, self._pairs)).tolist()
        self._sums.zero_()
        self._pairs = 0
        return {
            "accuracy": correct,
            **dict(zip(REWARDS, (better, worse, better - worse), strict=True)),
        }


def answer_logprobs(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of each pair's answers, in nats, shape (pairs, 2).

    Args:
        logits: Shape (2 · pairs, positions or more, vocabulary).
        labels: The token that each position predicts, shape (2 · pairs, positions).
    """
    chosen = labels != NO_LOSS
    picked = logits[:, : labels.shape[1]][chosen].float()
    each = -functional.cross_entropy(picked, labels[chosen], reduction="none")
    rows = chosen.nonzero()[:, 0]
    sums = torch.zeros(len(labels), device=logits.device).index_add(0, rows, each)
    return sums.view(2, -1).T


def rows_of(pairs: Sequence[Preference]) -> list[Example]:
    """Return the rows of a batch of pairs: the better answers, then the worse ones."""
    return [*pairs, *(pair.rejected for pair in pairs)]


def with_reference(
    model: Any,  # noqa: ANN401 - transformers ships no types
    pairs: Sequence[Example],
    padding: int,
    *,
    half_precision: bool,
) -> list[Example]:
    """Return the pairs with the log-probabilities of a model that did not train yet.

    That model is the reference: the frozen base, or the version whose training goes on. It is
    asked once, so a run needs no second model, and no second pass in each step.

    Args:
        model: Before its first step; a new adapter changes nothing yet.
        pairs: Pairs, all of them.
        padding: The token that fills short rows.
        half_precision: Whether the training computes in bfloat16.
    """
    kind = model.device.type
    found: list[Example] = []
    with torch.autocast(kind, dtype=torch.bfloat16, enabled=half_precision):
        for batch, logprobs in _logprobs(model, pairs, padding):
            found.extend(
                msgspec.structs.replace(pair, reference=both)
                for pair, both in zip(batch, logprobs.tolist(), strict=True)
            )
    return found


def measure_pairs(
    model: Any,  # noqa: ANN401 - transformers ships no types
    pairs: Sequence[Example],
    padding: int,
    *,
    beta: float,
) -> Measured:
    """Return the mean loss of pairs, and the share of them in the right order."""
    loss = correct = 0.0
    for batch, logprobs in _logprobs(model, pairs, padding):
        reference = torch.tensor([pair.reference for pair in batch])
        ratios = logprobs - reference
        margins = beta * (ratios[:, 0] - ratios[:, 1]).double()
        loss += float(-functional.logsigmoid(margins).sum())
        correct += float((margins > 0).sum())
    return Measured(loss=loss / len(pairs), accuracy=correct / len(pairs))


@torch.no_grad()
def _logprobs(
    model: Any,  # noqa: ANN401 - transformers ships no types
    pairs: Sequence[Example],
    padding: int,
) -> Iterator[tuple[list[Preference], torch.Tensor]]:
    """Yield pairs in their order, with their log-probabilities of shape (pairs, 2)."""
    was_training = model.training
    model.eval()
    known = [pair for pair in pairs if isinstance(pair, Preference)]
    for start in range(0, len(known), ROWS_MEASURED):
        batch = known[start : start + ROWS_MEASURED]
        fed = {name: t.to(model.device) for name, t in tensors(rows_of(batch), padding).items()}
        labels = fed.pop("labels")[:, 1:]
        yield batch, answer_logprobs(model(**fed).logits, labels).cpu()
    model.train(was_training)
