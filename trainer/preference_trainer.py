"""The Trainer for pairs of answers: batches of both, the reference beside them, rewards in the log.

It refuses to know the formula of the loss.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from trainer.adapter_trainer import AdapterTrainer
from trainer.batches import Example, Preference
from trainer.measuring import Measured
from trainer.preference import PreferenceLoss, measure_pairs, rows_of

ACCURACY = "reward_accuracy"
"""What the accuracy of pairs is called: the share of them in the right order."""


class PreferenceTrainer(AdapterTrainer):
    """Learns which of two answers is better."""

    accuracy_name = ACCURACY

    def __init__(self, *, beta: float, **options: Any) -> None:  # noqa: ANN401 - transformers ships no types
        self._beta = beta
        self._pair_loss = PreferenceLoss(beta)
        super().__init__(objective=self._pair_loss, **options)

    def compute_loss(
        self,
        model: Any,  # noqa: ANN401 - transformers ships no types
        inputs: dict[str, torch.Tensor],
        *args: Any,  # noqa: ANN401 - transformers ships no types
        **options: Any,  # noqa: ANN401 - transformers ships no types
    ) -> Any:  # noqa: ANN401 - transformers ships no types
        """Return the loss; the reference goes to it and not to the model."""
        self._pair_loss.reference = inputs.pop("reference")
        return super().compute_loss(model, inputs, *args, **options)

    def measure(self, examples: Sequence[Example]) -> Measured:
        """Return loss and share of pairs in the right order, on held-out pairs."""
        return measure_pairs(self.model, examples, self._padding, beta=self._beta)

    def _taken(self) -> Mapping[str, float]:
        return self._pair_loss.take()

    def _weight(self, _example: Example) -> int:
        """Return 1: the loss is a mean over pairs, not tokens."""
        return 1

    def _batch(self, sequences: Sequence[Sequence[Example]]) -> dict[str, Any]:
        pairs = [each for part in sequences for each in part if isinstance(each, Preference)]
        batch = super()._batch([[row] for row in rows_of(pairs)])
        return {**batch, "reference": torch.tensor([pair.reference for pair in pairs])}
