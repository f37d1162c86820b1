"""What the adapter saves against a prompt of the best quality, and when its training has paid.

It refuses to know prices: they come from the operator's settings, in any currency.
"""

import math
from collections.abc import Mapping

from evals import intervals
from evals.compare import PROMPT_ARMS, ArmName, Difference
from evals.findings.evidence import Costs, Evidence
from evals.intervals import Estimate
from registry.records import Record

_MILLION = 1_000_000


class Returns(Record, frozen=True, kw_only=True):
    """The adapter with the bare prompt against the base model with its best prompt."""

    against: str
    """The prompt arm with the best primary score."""
    quality: Difference
    """What the adapter gains over it on the primary metric: savings count at this quality."""
    tokens_saved: Estimate
    """Prompt tokens saved for each request."""
    saved_per_million_requests: Estimate | None
    """Money saved for a million requests, extra cost of serving an adapter taken off; none without
    a price of tokens."""
    training_cost: float | None
    """What the training cost; none when that is not known, or without a price of tokens."""
    requests_to_pay: int | None
    """Requests after which the training has paid; none when it never does, or without a price."""
    requests_low: int | None
    """Fewest, by the interval of the tokens saved."""
    requests_high: int | None
    """Most; none when the interval holds savings at which it never pays."""


def find_returns(evidence: Evidence) -> Returns | None:
    """Return the savings; none where no prompt arm was asked or no prompt was counted."""
    against = _best_prompt(evidence)
    if against is None:
        return None
    suite, policy = evidence.heldout, evidence.policy
    long: Mapping[int, float] = suite.prompt_tokens.get(against.baseline, {})
    short: Mapping[int, float] = suite.prompt_tokens.get(ArmName.ADAPTER, {})
    both = sorted(long.keys() & short.keys())
    if not both:
        return None
    saved = intervals.mean([long[row] - short[row] for row in both], policy.alpha, policy.seed)
    costs = evidence.costs
    money = _money(saved, costs) if costs.is_known else None
    return Returns(
        against=against.baseline,
        quality=against,
        tokens_saved=saved,
        saved_per_million_requests=money,
        training_cost=costs.training if costs.is_known else None,
        requests_to_pay=None if money is None else _requests(costs.training, money.mean),
        requests_low=None if money is None else _requests(costs.training, money.high),
        requests_high=None if money is None else _requests(costs.training, money.low),
    )


def _best_prompt(evidence: Evidence) -> Difference | None:
    """Return the adapter's difference from the prompt arm that comes nearest to it, or beats it."""
    primary = evidence.policy.primary_metric
    kind = evidence.heldout.kinds.get(primary)
    found = [
        each
        for each in evidence.heldout.differences
        if each.metric == primary and each.baseline in PROMPT_ARMS and each.estimate is not None
    ]
    if kind is None or not found:
        return None
    sign = 1 if kind.higher_is_better else -1
    return min(found, key=lambda each: sign * (each.estimate or 0.0))


def _money(saved: Estimate, costs: Costs) -> Estimate:
    """Return the money saved for a million requests."""

    def of(tokens: float | None) -> float | None:
        if tokens is None:
            return None
        # A million requests save `tokens` million tokens.
        return tokens * costs.per_million_prompt_tokens - costs.per_million_adapter_requests

    return Estimate(
        mean=of(saved.mean), low=of(saved.low), high=of(saved.high), n=saved.n, method=saved.method
    )


def _requests(training: float | None, saved_per_million: float | None) -> int | None:
    if training is None or saved_per_million is None or saved_per_million <= 0:
        return None
    return math.ceil(training / saved_per_million * _MILLION)
