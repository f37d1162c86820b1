"""The rule of a verdict, fixed before the run, and the file that holds a project's own.

It refuses to know any score.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from registry.errors import Invalid, PolicyUnusable
from registry.records import Record

MAX_FILE_BYTES = 64 * 1024
"""Largest policy file."""


class Policy(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an adapter may be promoted."""

    primary_metric: str = "exact_match"
    """The metric that decides."""
    smallest_effect: float = 0.02
    """Smallest improvement over the better baseline that matters, in the metric's unit."""
    must_beat: list[str] = msgspec.field(
        default_factory=lambda: [
            "base",
            "few_shot",
            "few_shot_nearest",
            "instruction",
            "production",
        ]
    )
    """Arms that the adapter must beat; those that an evaluation does not have are ignored."""
    guardrails: dict[str, float] = msgspec.field(default_factory=lambda: {"json_valid": 0.02})
    """Metrics that must not get worse, with the margin by which they may; those that do not apply
    to the answers are ignored."""
    max_broken_share: float | None = 0.5
    """Largest share of the `behaviour` suite's rows that the base model answers rightly and the
    adapter does not; null sets no limit."""
    max_behaviour_divergence: float | None = None
    """Largest mean loss of log-probability against the base model on the `behaviour` suite, in nats
    a token; null, the default, sets no limit."""
    max_gap: float | None = None
    """Largest gap of the primary metric between training and held-out rows beyond the base model's,
    in the metric's unit; null, the default, sets no limit."""
    max_leaked_share: float | None = 0.01
    """Largest share of the examined rows that stand in the training file too, but for case and
    spacing; null sets no limit."""
    alpha: float = 0.05
    """Level of the two-sided intervals, and of the family of tests (Holm)."""
    min_rows: int = 30
    """Fewest scored rows for any verdict but `inconclusive`; rows of one cluster count once."""
    max_unscored_share: float = 0.05
    """Largest share of rows without a score; beyond it the evaluation fails without a verdict."""
    few_shot_examples: int = 4
    """Examples in the few-shot prompt."""
    max_rows: int = 500
    """Most held-out rows examined; the first ones of a seeded order are taken."""
    seed: int = 0
    """Seed of the order of rows, the choice of examples and the bootstrap."""


_DEFAULT = Policy()


def resolve_policy(requested: Mapping[str, Any], default: Policy = _DEFAULT) -> Policy:
    """Return the policy with a default's fields for what was not requested.

    Raises:
        Invalid: A field is unknown, of the wrong type or out of range.
    """
    try:
        policy = msgspec.convert({**msgspec.to_builtins(default), **requested}, Policy)
    except msgspec.ValidationError as exc:
        raise Invalid(f"The policy cannot be read: {exc}.", "policy") from exc
    _check_numbers(policy)
    _check_limits(policy)
    return policy


def policy_in_force(path: Path | None) -> Policy:
    """Return the policy that holds where a request chooses none.

    The file is read at each call, so that an edit holds from the next evaluation on.

    Args:
        path: The operator's policy file; none for the built-in default.

    Raises:
        PolicyUnusable: The file cannot be read, or holds no policy.
    """
    if path is None:
        return _DEFAULT
    try:
        return read_policy(path)
    except Invalid as exc:
        raise PolicyUnusable(str(path), str(exc)) from exc


def read_policy(path: Path) -> Policy:
    """Read a policy file: YAML, with the fields that differ from the default.

    Raises:
        Invalid: It cannot be read; the message names line or field.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise Invalid(f"The policy file cannot be opened: {exc.strerror}.", "policy") from exc
    if len(content) > MAX_FILE_BYTES:
        raise Invalid(f"A policy file has at most {MAX_FILE_BYTES} bytes.", "policy")
    try:
        value = msgspec.yaml.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Invalid(f"The policy file is not YAML: {exc}", "policy") from exc
    if value is None:  # nothing but comments
        return _DEFAULT
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        message = "A policy file has one 'field: value' on each line, such as 'min_rows: 50'."
        raise Invalid(message, "policy")
    return resolve_policy(value)


def differences_of(then: Policy, now: Policy) -> list[str]:
    """Return each field in which two policies differ, in words."""
    return [
        f"{name} was {_shown(getattr(then, name))}, is {_shown(getattr(now, name))}"
        for name in Policy.__struct_fields__
        if getattr(then, name) != getattr(now, name)
    ]


def _shown(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _check_numbers(policy: Policy) -> None:
    if not 0 < policy.alpha < 1:
        raise Invalid("'alpha' must lie between 0 and 1.", "policy.alpha")
    if not math.isfinite(policy.smallest_effect):
        raise Invalid("'smallest_effect' must be a number.", "policy.smallest_effect")
    if policy.min_rows < 1 or policy.max_rows < policy.min_rows:
        raise Invalid("'max_rows' must be at least 'min_rows', and both above 0.", "policy")
    if not 0 <= policy.few_shot_examples <= 20:
        raise Invalid("'few_shot_examples' must lie between 0 and 20.", "policy.few_shot_examples")
    if "base" not in policy.must_beat:
        raise Invalid("'must_beat' must name 'base' at least.", "policy.must_beat")


def _check_limits(policy: Policy) -> None:
    limits = {
        "max_broken_share": policy.max_broken_share,
        "max_behaviour_divergence": policy.max_behaviour_divergence,
        "max_gap": policy.max_gap,
        "max_leaked_share": policy.max_leaked_share,
        "max_unscored_share": policy.max_unscored_share,
        **{f"guardrails.{metric}": margin for metric, margin in policy.guardrails.items()},
    }
    for name, limit in limits.items():
        if limit is not None and not 0 <= limit < math.inf:
            raise Invalid(f"'{name}' must be 0 or more.", f"policy.{name}")
