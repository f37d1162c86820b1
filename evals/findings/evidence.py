"""What the findings are made from: every suite's scores and answers, and what was known before.

It refuses to compute.
"""

from collections.abc import Mapping

import msgspec

from evals.compare import Difference, MetricKind, Scores
from evals.findings.leakage import Leaks
from evals.intervals import Estimate
from evals.suites.suite import HELDOUT
from registry.policy import Policy
from registry.records import Record

_HOUR_SECONDS = 3600.0


class SuiteEvidence(Record, frozen=True, kw_only=True):
    """One suite, as it was answered."""

    kinds: Mapping[str, MetricKind]
    """The metrics that apply."""
    scores: Scores
    """Scores by arm, metric and row."""
    arms: Mapping[str, Mapping[str, Estimate]]
    """Each arm's estimates by metric."""
    differences: list[Difference]
    """The adapter against each other arm."""
    outputs: Mapping[str, Mapping[int, str]]
    """Answers by arm and row; a row without one is absent."""
    targets: Mapping[int, str]
    """The right answers by row."""
    prompts: Mapping[int, str] = msgspec.field(default_factory=dict)
    """The prompts by row, as a person reads them."""
    clusters: Mapping[int, str] = msgspec.field(default_factory=dict)
    """The cluster of each row."""
    segments: Mapping[int, str] = msgspec.field(default_factory=dict)
    """The segment of each row that has one."""
    canaries: frozenset[int] = frozenset()
    """Rows that were planted to see what a model memorises."""
    prompt_tokens: Mapping[str, Mapping[int, float]] = msgspec.field(default_factory=dict)
    """Tokens of the prompt by arm and row, where they were counted."""


class Costs(Record, frozen=True, kw_only=True):
    """What things cost, in one currency; 0 is free."""

    per_million_prompt_tokens: float = 0.0
    """A million prompt tokens."""
    per_million_adapter_requests: float = 0.0
    """Serving a million requests with an adapter, beyond the base model."""
    training: float | None = None
    """The training that made the adapter; none when it is not known."""

    @property
    def is_known(self) -> bool:
        """Whether tokens cost something."""
        return self.per_million_prompt_tokens > 0


class Prices(Record, frozen=True, kw_only=True):
    """What the operator pays, in one currency."""

    per_million_prompt_tokens: float = 0.0
    """A million prompt tokens."""
    per_million_adapter_requests: float = 0.0
    """Serving a million requests with an adapter, beyond the base model."""
    per_training_hour: float = 0.0
    """An hour of training."""

    def costs(self, training_seconds: float | None) -> Costs:
        """Return the costs around an adapter whose training took some time, if that is known."""
        hours = None if training_seconds is None else training_seconds / _HOUR_SECONDS
        return Costs(
            per_million_prompt_tokens=self.per_million_prompt_tokens,
            per_million_adapter_requests=self.per_million_adapter_requests,
            training=None if hours is None else hours * self.per_training_hour,
        )


class Evidence(Record, frozen=True, kw_only=True):
    """Everything the findings rest on."""

    policy: Policy
    """The rule of the verdict."""
    suites: Mapping[str, SuiteEvidence]
    """By name; `heldout` is always there."""
    leaks: Leaks | None = None
    """Examined rows that stand in the training file; none when that file is not known."""
    costs: Costs = Costs()
    """What things cost."""

    @property
    def heldout(self) -> SuiteEvidence:
        """The suite that decides."""
        return self.suites[HELDOUT]
