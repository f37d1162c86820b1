"""Which processors multiply bfloat16 matrices by instructions of their own."""

import pytest

from registry.processor import knows_bfloat16

_SKYLAKE = "flags\t\t: fpu sse2 avx2 avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.mark.parametrize(
    ("line", "known"),
    [
        (_SKYLAKE, True),
        ("flags\t\t: fpu sse2 avx avx2 fma", False),
        ("Features\t: fp asimd bf16 i8mm", True),
        ("Features\t: fp asimd", False),
        ("model name\t: avx512f avx512dq avx512bw avx512vl", False),
    ],
)
def test_the_flags_decide(line: str, *, known: bool) -> None:
    """Only the line of flags is read."""
    assert knows_bfloat16(["processor\t: 0", line]) is known
