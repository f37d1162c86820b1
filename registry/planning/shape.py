"""The size of a base model, as its configuration tells it.

It refuses to read files and to know weights.
"""

from collections.abc import Mapping
from typing import Any

from registry.records.record import Record


class BaseShape(Record, frozen=True, kw_only=True):
    """The widths and counts that decide what training costs."""

    hidden: int
    """Width of the residual stream."""
    inner: int
    """Width inside the feed-forward layers."""
    layers: int
    """Blocks of attention and feed-forward layers."""
    heads: int
    """Attention heads."""
    head: int
    """Width of a head."""
    key_heads: int
    """Heads of keys and values."""
    vocabulary: int
    """Tokens it knows."""
    is_tied: bool
    """Whether the head shares the embedding's weights."""
    experts: int = 1
    """Feed-forward layers of a block, of which a token uses `active_experts`."""
    active_experts: int = 1
    """Feed-forward layers of a block that one token uses."""

    @property
    def _attention(self) -> int:
        return self.hidden * self.head * 2 * (self.heads + self.key_heads)

    @property
    def _feed_forward(self) -> int:
        return 3 * self.hidden * self.inner

    @property
    def parameters(self) -> int:
        """Weights, norms left out."""
        embedding = self.vocabulary * self.hidden * (1 if self.is_tied else 2)
        return embedding + self.layers * (self._attention + self.experts * self._feed_forward)

    @property
    def active_parameters(self) -> int:
        """Weights that one token is multiplied with: the head, not the embedding."""
        block = self._attention + self.active_experts * self._feed_forward
        return self.vocabulary * self.hidden + self.layers * block

    def adapter_parameters(self, rank: int) -> int:
        """Return the weights of a LoRA of a rank on every linear layer but the head."""
        queries, keys = self.heads * self.head, self.key_heads * self.head
        attention = 2 * (self.hidden + queries) + 2 * (self.hidden + keys)
        feed_forward = 3 * (self.hidden + self.inner)
        return rank * self.layers * (attention + self.experts * feed_forward)


def shape_of(config: Mapping[str, Any]) -> BaseShape:
    """Return the shape that a model's `config.json` tells.

    Raises:
        ValueError: A size is missing or no number, as in a model of another make.
    """
    text = config.get("text_config") or config
    try:
        hidden, heads = int(text["hidden_size"]), int(text["num_attention_heads"])
        return BaseShape(
            hidden=hidden,
            inner=int(text.get("moe_intermediate_size") or text["intermediate_size"]),
            layers=int(text["num_hidden_layers"]),
            heads=heads,
            head=int(text.get("head_dim") or hidden // heads),
            key_heads=int(text.get("num_key_value_heads") or heads),
            vocabulary=int(text["vocab_size"]),
            is_tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
            experts=int(text.get("num_local_experts") or text.get("num_experts") or 1),
            active_experts=int(text.get("num_experts_per_tok") or 1),
        )
    except (KeyError, TypeError, ZeroDivisionError) as exc:
        raise ValueError(f"the configuration lacks a size ({exc})") from exc
