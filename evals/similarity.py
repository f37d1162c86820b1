"""Which texts are like a text: TF-IDF over the character n-grams, cosine.

It refuses to know rows, and words of any language. The same texts give the same order.
"""

import math
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from scipy.sparse import csr_array

MAX_CHARACTERS = 1_000
"""Characters of a text that count; the last ones, which a chat's question is in."""
_SIZES = (3, 4, 5)
_FEATURES = 1 << 18  # n-grams share a place with a chance of about one in a thousand


class Index:
    """Texts, ready to be searched."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [_counts(text) for text in texts]
        seen = Counter(feature for found in counts for feature in found)
        self._rarity = {
            feature: math.log((1 + len(texts)) / (1 + times)) + 1 for feature, times in seen.items()
        }
        self._vectors = _matrix([self._weigh(found) for found in counts])

    def nearest(self, text: str) -> list[int]:
        """Return the places of all texts, the most similar first; equals in their own order."""
        query = _matrix([self._weigh(_counts(text))])
        likeness = (self._vectors @ query.T).toarray()[:, 0]
        return [int(place) for place in np.argsort(-likeness.round(12), kind="stable")]

    def _weigh(self, counts: dict[int, int]) -> dict[int, float]:
        """Return a unit vector; what none of the texts has is left out."""
        weights = {
            feature: (1 + math.log(count)) * self._rarity[feature]
            for feature, count in counts.items()
            if feature in self._rarity
        }
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {feature: weight / length for feature, weight in weights.items()}


def _counts(text: str) -> dict[int, int]:
    words = f" {' '.join(text[-MAX_CHARACTERS:].lower().split())} "
    return Counter(
        crc32(words[start : start + size].encode()) % _FEATURES
        for size in _SIZES
        for start in range(len(words) - size + 1)
    )


def _matrix(rows: Sequence[dict[int, float]]) -> csr_array:
    starts = np.cumsum([0, *(len(row) for row in rows)])
    places = np.fromiter((feature for row in rows for feature in row), np.int64, int(starts[-1]))
    values = np.fromiter(
        (value for row in rows for value in row.values()), np.float64, int(starts[-1])
    )
    return csr_array((values, places, starts), shape=(len(rows), _FEATURES))
