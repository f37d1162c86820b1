"""The features that are compared, each with its value in an interaction: pure.

It refuses to know how they are compared. Their names are the only ones that reports and metrics
show. Times are not among them: they tell of the machine, and have histograms of their own.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np

from evals.drift.bins import Values
from registry.records import DriftRow, FeatureKind, Record

UNKNOWN = "unknown"
"""The category of a row that has none."""
PROMPT_TEXT = "prompt_text"
"""The words of the last message of the user."""
ANSWER_TEXT = "answer_text"
"""The words of the answer."""
TEXT_FEATURES = (ANSWER_TEXT, PROMPT_TEXT)


class Number(Record, frozen=True, kw_only=True):
    """A numeric feature."""

    name: str
    """Its name."""
    value: Callable[[DriftRow], float | None]
    """A row's value; none where it has none."""


class Category(Record, frozen=True, kw_only=True):
    """A categorical feature."""

    name: str
    """Its name."""
    value: Callable[[DriftRow], str]
    """A row's category."""


class Columns:
    """Rows as columns; whole rows are let go as they come."""

    def __init__(self) -> None:
        self.rows = 0
        """How many there are."""
        self._numbers: dict[str, list[float]] = {each.name: [] for each in NUMBERS}
        self._categories: dict[str, list[str]] = {each.name: [] for each in CATEGORIES}

    def add(self, rows: Iterable[DriftRow]) -> None:
        """Take rows' values."""
        for row in rows:
            self.rows += 1
            for number in NUMBERS:
                value = number.value(row)
                self._numbers[number.name].append(math.nan if value is None else float(value))
            for category in CATEGORIES:
                self._categories[category.name].append(category.value(row))

    def numbers(self, name: str) -> Values:
        """Return a numeric feature's values, NaN where a row has none."""
        return np.array(self._numbers[name], dtype=np.float64)

    def categories(self, name: str) -> list[str]:
        """Return a categorical feature's values."""
        return self._categories[name]


def _feature(name: str) -> Callable[[DriftRow], float | None]:
    return lambda row: row.features.get(name)


def _flag(name: str) -> Callable[[DriftRow], str]:
    return lambda row: {0.0: "no", 1.0: "yes"}.get(row.features.get(name, -1.0), UNKNOWN)


def _is_sent(name: str) -> Callable[[DriftRow], str]:
    return lambda row: "yes" if name in row.features else "no"


NUMBERS = (
    *(
        Number(name=name, value=_feature(name))
        for name in (
            "answer_characters",
            "answer_non_ascii",
            "body_bytes",
            "max_tokens",
            "messages",
            "prompt_characters",
            "prompt_non_ascii",
            "temperature",
        )
    ),
    Number(name="completion_tokens", value=lambda row: row.completion_tokens),
    Number(name="mean_logprob", value=lambda row: row.mean_logprob),
    Number(name="prompt_tokens", value=lambda row: row.prompt_tokens),
)
"""Every numeric feature."""
CATEGORIES = (
    Category(name="endpoint", value=lambda row: row.endpoint),
    Category(name="finish_reason", value=lambda row: row.finish_reason or UNKNOWN),
    Category(name="has_system", value=_flag("has_system")),
    Category(name="has_tools", value=_flag("has_tools")),
    Category(name="max_tokens_sent", value=_is_sent("max_tokens")),
    Category(name="status", value=lambda row: str(row.status)),
    Category(name="temperature_sent", value=_is_sent("temperature")),
)
"""Every categorical feature."""
KINDS = {
    **dict.fromkeys((each.name for each in NUMBERS), FeatureKind.NUMBER),
    **dict.fromkeys((each.name for each in CATEGORIES), FeatureKind.CATEGORY),
    **dict.fromkeys(TEXT_FEATURES, FeatureKind.TEXT),
}
"""The kind of every feature, by its name."""
