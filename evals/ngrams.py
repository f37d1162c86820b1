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
_MOST = 2**62  # what is counted must fit a number of 64 bits, once doubled


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
    """Return the same, of all pairs at once: each n-gram is a number, its pair the first digit."""
    lengths = np.array([len(each) for pair in pairs for each in pair], dtype=np.int64)
    sequence = np.repeat(np.arange(len(lengths)), lengths)
    left = np.repeat(np.cumsum(lengths), lengths) - np.arange(len(sequence))  # symbols to its end
    symbols = _ranks(np.concatenate([each for pair in pairs for each in pair]))
    kinds = int(symbols.max(initial=0)) + 1
    grams, unit = sequence // 2, 1
    shared = np.zeros((len(pairs), orders), dtype=np.int64)
    for order in range(1, orders + 1):
        starts = np.flatnonzero(left >= order)
        grams = grams[left[left >= order - 1] >= order]
        if len(pairs) * unit * kinds > _MOST:
            unit = len(grams) + 1
            grams = sequence[starts] // 2 * unit + _ranks(grams)
        grams = grams * kinds + symbols[starts + order - 1]
        unit *= kinds
        found, times = np.unique(grams * 2 + sequence[starts] % 2, return_counts=True)
        first = np.flatnonzero(found[:-1] // 2 == found[1:] // 2)  # and the next is the other's
        least = np.minimum(times[first], times[first + 1])
        whose = found[first] // (2 * unit)
        shared[:, order - 1] = np.bincount(whose, weights=least, minlength=len(pairs))
    return shared


def _ranks(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each number's place among the different numbers, from 0."""
    return np.unique(values, return_inverse=True)[1]
