"""The rule of a verdict, fixed before the run.

It refuses to know any score.
"""

from typing import Any

import msgspec

from registry.errors import Invalid
from registry.records import Record


class Policy(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an adapter may be promoted."""

    primary_metric: str = "exact_match"
    """The metric that decides."""
    smallest_effect: float = 0.02
    """Smallest improvement over the better baseline that matters, in the metric's unit."""
    guardrails: dict[str, float] = msgspec.field(default_factory=lambda: {"json_valid": 0.02})
    """Metrics that must not get worse, with the margin by which they may; those that do not apply
    to the answers are ignored."""
    alpha: float = 0.05
    """Level of the two-sided intervals, and of the family of tests (Holm)."""
    min_rows: int = 30
    """Fewest scored rows for any verdict but `inconclusive`."""
    max_unscored_share: float = 0.05
    """Largest share of rows without a score for any verdict but `inconclusive`."""
    few_shot_examples: int = 4
    """Examples in the few-shot prompt."""
    max_rows: int = 500
    """Most held-out rows examined; the first ones of a seeded order are taken."""
    seed: int = 0
    """Seed of the order of rows, the choice of examples and the bootstrap."""


def resolve_policy(requested: dict[str, Any]) -> Policy:
    """Return the policy with defaults for what was not requested.

    Raises:
        Invalid: A field is unknown, of the wrong type or out of range.
    """
    try:
        policy = msgspec.convert(requested, Policy)
    except msgspec.ValidationError as exc:
        raise Invalid(f"The policy cannot be read: {exc}.", "policy") from exc
    if not 0 < policy.alpha < 1:
        raise Invalid("'alpha' must lie between 0 and 1.", "policy.alpha")
    if policy.min_rows < 1 or policy.max_rows < policy.min_rows:
        raise Invalid("'max_rows' must be at least 'min_rows', and both above 0.", "policy")
    if not 0 <= policy.few_shot_examples <= 20:
        raise Invalid("'few_shot_examples' must lie between 0 and 20.", "policy.few_shot_examples")
    return policy
