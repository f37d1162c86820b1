"""The memory a run takes, and how much may go through the model at once.

It refuses to know the machine: what there is comes in as a number.
"""

from collections.abc import Iterator

from registry.planning.shape import BaseShape
from registry.records.record import Record

MICRO_BATCH_TOKENS = 4_096
"""Most tokens, padding included, that go through the model at once, however much memory there is:
more hardly makes a step faster."""
MIN_MICRO_BATCH_TOKENS = 16
"""Fewest that are ever tried; a longer row goes alone."""
EAGER_ATTENTION_TOKENS = 512
"""Longest row for which a CPU does without fused attention."""
FIXED_BYTES = 800 * 2**20
"""What the interpreter and its libraries take by themselves."""
SAFETY = 1.25
"""Factor on activations: allocators round up, and a step needs room for what it throws away."""
HALF_BYTES = 2
"""Bytes of a number in bfloat16."""
TRAINED_BYTES = 16
"""Bytes of a weight that is trained: itself, its gradient, and AdamW's two moments, 4 each."""


class Precision(Record, frozen=True, kw_only=True):
    """In which form a run keeps and computes numbers."""

    weight_bytes: float
    """Bytes of a frozen weight: 4, 2, or about 0.6 for nf4 with double quantisation."""
    compute_bytes: int
    """Bytes of a number in an activation: 4 or 2."""
    trains_all: bool = False
    """Whether every weight is trained instead of an adapter."""
    written_out: bool = False
    """Whether attention is written out (`eager`), which keeps each pair of positions."""


class Memory(Record, frozen=True, kw_only=True):
    """An estimate, in bytes."""

    weights: int
    """The frozen weights."""
    trained: int
    """The trained weights with gradients and the optimiser's moments."""
    activations: int
    """What a micro-batch keeps for the way back."""
    fixed: int = FIXED_BYTES
    """The process itself."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.trained + self.activations + self.fixed


class Footprint(Record, frozen=True, kw_only=True):
    """What a run takes of the machine at a time."""

    tokens: int = MICRO_BATCH_TOKENS
    """Most tokens, padding included, of a micro-batch; a longer row goes alone."""
    gradient_checkpointing: bool = False
    """Whether activations inside a block are computed again on the way back."""


def estimate(
    shape: BaseShape,
    precision: Precision,
    footprint: Footprint,
    *,
    rank: int,
    longest: int,
    batch_size: int,
) -> Memory:
    """Return the memory that training takes.

    Trained weights take 16 bytes each. A micro-batch of `t` tokens in sequences of length `s`
    keeps, in each of `L` blocks and for each token, with `b` bytes a number,

        b · (8·h + 4·i)                     inputs of norms and linear layers, and the gate
        + (4 + b) · (6·h + i)               LoRA's copies of the linear layers' inputs, if b is 2
        + (4 + 2·b) · a · s                 attention written out: the pairs of `a` heads

    (`h` the hidden width, `i` the inner one), and for the loss `(2·b + 8) · v` bytes a token for
    a vocabulary of `v`. The first and third line are those of Korthikanti et al. 2022
    (arXiv 2205.05198, equation 1), without dropout and with the gated feed-forward layer of
    Llama; PEFT adds the second. With gradient checkpointing a block keeps its input alone,
    `b · h`, and one block at a time all of the above. Activations are multiplied by `SAFETY`.

    Args:
        shape: The base model.
        precision: The form of the numbers.
        footprint: Tokens at a time, and whether activations are kept.
        rank: LoRA's rank; without meaning when everything is trained.
        longest: Tokens of the longest row.
        batch_size: Rows of a step; no more go through the model at a time.
    """
    b, h, i = precision.compute_bytes, shape.hidden, shape.inner * shape.active_experts
    token = b * (8 * h + 4 * i)
    if not precision.trains_all and b == HALF_BYTES:
        token += (4 + b) * (6 * h + i)
    if precision.written_out:
        token += (4 + 2 * b) * shape.heads * longest
    blocks = shape.layers * token
    if footprint.gradient_checkpointing:
        blocks = shape.layers * b * h + token
    at_once = max(min(footprint.tokens, batch_size * longest), longest)
    activations = at_once * (blocks + (2 * b + 8) * shape.vocabulary)
    trained = shape.parameters if precision.trains_all else shape.adapter_parameters(rank)
    return Memory(
        weights=0 if precision.trains_all else int(shape.parameters * precision.weight_bytes),
        trained=trained * TRAINED_BYTES,
        activations=int(SAFETY * activations),
    )


def fit(
    shape: BaseShape,
    precision: Precision,
    *,
    rank: int,
    longest: int,
    batch_size: int,
    available: int,
    checkpointing: bool | None = None,
) -> Footprint:
    """Return the largest micro-batch that fits, activations computed again only where they must be.

    When nothing fits, the smallest is returned: the estimate is one, and the run may try.

    Args:
        shape: The base model.
        precision: The form of the numbers.
        rank: LoRA's rank.
        longest: Tokens of the longest row.
        batch_size: Rows of a step.
        available: Bytes that the run may take.
        checkpointing: What the request says about gradient checkpointing; none for `auto`.
    """
    choices = (False, True) if checkpointing is None else (checkpointing,)
    footprint = Footprint(tokens=MICRO_BATCH_TOKENS, gradient_checkpointing=choices[-1])
    for again in choices:
        for tokens in _ladder(longest):
            footprint = Footprint(tokens=tokens, gradient_checkpointing=again)
            taken = estimate(
                shape, precision, footprint, rank=rank, longest=longest, batch_size=batch_size
            )
            if taken.total <= available:
                return footprint
    return footprint


def halved(footprint: Footprint, longest: int) -> Footprint | None:
    """Return half of a footprint, or none when rows go through the model one by one already."""
    if footprint.tokens <= longest or footprint.tokens <= MIN_MICRO_BATCH_TOKENS:
        return None
    return Footprint(
        tokens=max(footprint.tokens // 2, MIN_MICRO_BATCH_TOKENS),
        gradient_checkpointing=footprint.gradient_checkpointing,
    )


def _ladder(longest: int) -> Iterator[int]:
    tokens = MICRO_BATCH_TOKENS
    while True:
        yield tokens
        if tokens <= max(longest, MIN_MICRO_BATCH_TOKENS):
            return
        tokens //= 2
