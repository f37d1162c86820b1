"""Shares and means over rows of a suite, with the interval that their clusters leave.

It refuses to know what is counted.
"""

from collections.abc import Mapping

from evals import clustered, intervals
from evals.clusters import groups_of
from evals.findings.evidence import SuiteEvidence
from evals.intervals import Estimate
from registry.policy import Policy


def share(hits: Mapping[int, bool], suite: SuiteEvidence, policy: Policy) -> Estimate:
    """Return the share of rows that are hits; rows of one cluster tell less than as many others."""
    groups = groups_of(list(hits), suite.clusters)
    if groups is None:
        return intervals.proportion(sum(hits.values()), len(hits), policy.alpha)
    return clustered.proportion([float(hit) for hit in hits.values()], groups, policy.alpha)


def mean(values: Mapping[int, float], suite: SuiteEvidence, policy: Policy) -> Estimate:
    """Return the mean of rows' values, likewise."""
    found, groups = list(values.values()), groups_of(list(values), suite.clusters)
    if not found:
        return intervals.nothing()
    if groups is None:
        return intervals.mean(found, policy.alpha, policy.seed)
    return clustered.mean(found, groups, policy.alpha)
