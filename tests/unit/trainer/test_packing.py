"""How the rows of a step are laid out."""

from hypothesis import given
from hypothesis import strategies as st

from trainer.packing import lay_out, padded_tokens, pays

LENGTHS = st.lists(st.integers(1, 300), min_size=1, max_size=40)


@given(lengths=LENGTHS, tokens=st.integers(16, 4096), packing=st.booleans())
def test_every_row_goes_through_once(
    lengths: list[int],
    tokens: int,
    packing: bool,  # noqa: FBT001 - hypothesis passes by name
) -> None:
    """A layout has each row of the step once, and nothing else."""
    batches = lay_out(range(len(lengths)), lengths, tokens=tokens, packing=packing)
    laid = [row for batch in batches for sequence in batch for row in sequence]
    assert sorted(laid) == list(range(len(lengths)))


@given(lengths=LENGTHS, tokens=st.integers(16, 4096), packing=st.booleans())
def test_micro_batches_stay_within_their_tokens(
    lengths: list[int],
    tokens: int,
    packing: bool,  # noqa: FBT001 - hypothesis passes by name
) -> None:
    """Only a sequence that goes alone may be longer than a micro-batch, and none than a row."""
    for batch in lay_out(range(len(lengths)), lengths, tokens=tokens, packing=packing):
        sizes = [sum(lengths[row] for row in sequence) for sequence in batch]
        assert max(sizes) <= max(lengths)
        assert len(batch) == 1 or len(batch) * max(sizes) <= tokens


@given(lengths=LENGTHS)
def test_packing_never_costs_tokens(lengths: list[int]) -> None:
    """A packed step never has more tokens than a padded one."""
    rows = range(len(lengths))
    packed, padded = (
        padded_tokens(lay_out(rows, lengths, tokens=10**6, packing=packing), lengths)
        for packing in (True, False)
    )
    assert sum(lengths) <= packed <= padded


def test_packing_pays_for_rows_of_mixed_length() -> None:
    """`auto` packs rows that differ in length, and leaves equal ones as they are."""
    mixed, equal = [100, 20, 30, 50, 90, 10, 80, 20], [64] * 8
    assert pays([range(8)], mixed, tokens=4096)
    assert not pays([range(8)], equal, tokens=4096)
