"""How many n-grams two sequences share, for many pairs at once.

It refuses to know what the symbols are: characters and words come as numbers.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Symbols = NDArray[np.int64]
"""A sequence, shape (length,), of numbers from 0; equal numbers are equal symbols."""
Pair = tuple[Symbols, Symbols]
_AT_ONCE = 50_000  # symbols: about what fits a processor's cache; it bounds the memory too


def shared_ngrams(pairs: Iterable[Pair], orders: int) -> NDArray[np.int64]:
    """Return the n-grams that both sequences of a pair have, as often as both have them.

    Args:
        pairs: The sequences.
        orders: The longest n-gram.

    Returns:
        Shape (pairs, orders); column n - 1 counts n-grams of n symbols.
    """
    found = [_shared(part, orders) for part in _parts(pairs)]
    return np.concatenate([np.empty((0, orders), np.int64), *found])


def _parts(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    part: list[Pair] = []
    symbols = 0
    for pair in pairs:
        part.append(pair)
        symbols += len(pair[0]) + len(pair[1])
        if symbols >= _AT_ONCE:
            yield part
            part, symbols = [], 0
    if part:
        yield part


def _shared(pairs: Sequence[Pair], orders: int) -> NDArray[np.int64]:
    lengths = np.array([len(each) for pair in pairs for each in pair], dtype=np.int64)
    symbols = np.concatenate([each for pair in pairs for each in pair])
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(symbols))  # symbols to its end
    first = _numbered(sequence // 2, symbols)  # unlike in each pair, and so are all n-grams
    grams, starts = first, np.arange(len(symbols))
    shared = np.zeros((len(pairs), orders), dtype=np.int64)
    for order in range(1, orders + 1):
        if order > 1:
            inside = left[starts] >= order
            starts = starts[inside]
            grams = _numbered(grams[inside], first[starts + order - 1])
        times = _times_shared(grams, sequence[starts] % 2 == 1)
        pair_of = np.zeros(len(times), dtype=np.int64)
        pair_of[grams] = sequence[starts] // 2
        shared[:, order - 1] = np.bincount(pair_of, weights=times, minlength=len(pairs))
        lives = times[grams] > 0  # what only one of both has, they share no longer either
        grams, starts = grams[lives], starts[lives]
    return shared


def _numbered(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a number from 0 for each pair of numbers; equal pairs have the same."""
    width = other.max(initial=0) + 1
    return np.unique(one * width + other, return_inverse=True)[1]


def _times_shared(grams: NDArray[np.int64], second: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return by n-gram how often the first and the second sequence both have it."""
    kinds = int(grams.max(initial=-1)) + 1
    return np.minimum(
        np.bincount(grams[~second], minlength=kinds), np.bincount(grams[second], minlength=kinds)
    )
