"""How a row of the user's own suites says that it is scored.

It refuses to score.
"""

from typing import Any

from evals.metric_table import TEXT_METRICS
from evals.scorers import json_schema, pattern
from registry.chatdata import Row
from registry.records import Record

_ROW_METRICS = {metric.key: metric for metric in TEXT_METRICS}


class Marking(Record, frozen=True, kw_only=True):
    """A row's metric."""

    metric: str
    """Its name."""
    options: dict[str, Any]
    """Its options."""


class MarkingError(Exception):
    """A row's `metric` cannot be used."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return self.message


def marking_of(row: Row) -> Marking | None:
    """Return how a row is scored; none when it does not say.

    Raises:
        MarkingError: What it says cannot be used.
    """
    if row.metric is None:
        return None
    said = {"name": row.metric} if isinstance(row.metric, str) else row.metric
    if not isinstance(said, dict) or not isinstance(said.get("name"), str):
        remedy = 'Write "metric": "contains", or "metric": {"name": "numeric", "tolerance": 0.01}.'
        raise MarkingError("'metric' is neither a name nor an object with a name.", remedy)
    name = said["name"]
    if name not in _ROW_METRICS:
        known = ", ".join(sorted(_ROW_METRICS))
        raise MarkingError(f"There is no metric '{name}'.", f"Use one of {known}.")
    options = {key: value for key, value in said.items() if key != "name"}
    _check(name, options, row.target)
    return Marking(metric=name, options=options)


def _check(name: str, options: dict[str, Any], target: str) -> None:
    takes = _ROW_METRICS[name].options
    unknown = sorted(options.keys() - takes)
    if unknown:
        known = ", ".join(sorted(takes)) or "none"
        raise MarkingError(
            f"The metric '{name}' has no option '{unknown[0]}'.", f"It has: {known}."
        )
    fault = _fault(options, target if name == "regex" else "")
    if fault is not None:
        raise MarkingError(f"The metric '{name}' cannot be used: {fault}.", "Mend the option.")


def _fault(options: dict[str, Any], expression: str) -> str | None:
    """Return what is wrong with the values of options."""
    tolerance = options.get("tolerance", 0.0)
    if not isinstance(tolerance, int | float) or not tolerance >= 0:
        return "'tolerance' is not a number from 0 upwards"
    if not isinstance(options.get("case_sensitive", False), bool):
        return "'case_sensitive' is neither true nor false"
    schema = options.get("schema")
    if schema is not None:
        return json_schema.fault_of(schema) if isinstance(schema, dict) else "'schema' is no object"
    chosen = options.get("pattern", expression)
    return pattern.fault_of(chosen) if isinstance(chosen, str) else "'pattern' is not a text"
