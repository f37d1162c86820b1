"""How the rows of one optimiser step are laid out: which share a sequence, which go together.

It refuses to know tokens, models and memory. The rows of a step are the same under every layout,
so packing changes what a step costs and never what it learns.
"""

from collections.abc import Sequence

PACKING_GAIN = 0.05
"""Share of the padded tokens that packing must save for `auto` to choose it."""
PACKABLE = frozenset(
    {
        "gemma",
        "gemma2",
        "gemma3_text",
        "llama",
        "mistral",
        "mixtral",
        "phi3",
        "qwen2",
        "qwen3",
        "qwen3_moe",
    }
)
"""Model types of which a test shows that rows of one sequence do not see one another."""

MicroBatch = list[list[int]]
"""Sequences that go through the model at once; each names its rows, in their order."""


def lay_out(
    rows: Sequence[int], lengths: Sequence[int], *, tokens: int, packing: bool
) -> list[MicroBatch]:
    """Return the micro-batches of one step.

    With packing the rows are put into sequences no longer than the longest of them, the longest
    first, each where it fits first (first-fit decreasing, at most 11/9 of the best number of
    sequences plus one; doi 10.1137/0203025). Attention grows with the square of a sequence, so
    none is made longer than a row already is.

    Args:
        rows: The step's rows.
        lengths: Tokens of every row of the file.
        tokens: Most tokens, padding included, of a micro-batch of several sequences.
        packing: Whether rows share sequences.
    """
    ordered = sorted(rows, key=lambda row: (-lengths[row], row))
    sequences = _pack(ordered, lengths) if packing else [[row] for row in ordered]
    sequences.sort(key=lambda sequence: -sum(lengths[row] for row in sequence))
    batches: list[MicroBatch] = []
    width = 0
    for sequence in sequences:
        if not batches or (len(batches[-1]) + 1) * width > tokens:
            batches.append([])
            width = sum(lengths[row] for row in sequence)
        batches[-1].append(sequence)
    return batches


def padded_tokens(batches: Sequence[MicroBatch], lengths: Sequence[int]) -> int:
    """Return the tokens that go through the model, padding included."""
    return sum(
        len(batch) * max(sum(lengths[row] for row in sequence) for sequence in batch)
        for batch in batches
    )


def pays(steps: Sequence[Sequence[int]], lengths: Sequence[int], *, tokens: int) -> bool:
    """Return whether packing saves at least `PACKING_GAIN` of the tokens of some steps."""
    cost = {
        packing: sum(
            padded_tokens(lay_out(rows, lengths, tokens=tokens, packing=packing), lengths)
            for rows in steps
        )
        for packing in (False, True)
    }
    return cost[True] <= (1 - PACKING_GAIN) * cost[False]


def _pack(ordered: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    capacity = lengths[ordered[0]]
    sequences: list[list[int]] = []
    room: list[int] = []
    for row in ordered:
        fits = (index for index, free in enumerate(room) if lengths[row] <= free)
        index = next(fits, len(sequences))
        if index == len(sequences):
            sequences.append([])
            room.append(capacity)
        sequences[index].append(row)
        room[index] -= lengths[row]
    return sequences
