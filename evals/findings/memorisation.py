"""Whether the adapter says by heart what it was trained on: answers, losses, planted canaries.

It refuses to know what was planted, and how.
"""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, rankdata

from evals import clustered, intervals
from evals.clusters import groups_of
from evals.compare import ArmName
from evals.findings.evidence import Evidence, SuiteEvidence
from evals.findings.shares import share
from evals.intervals import Estimate
from evals.suites.suite import TRAINING
from registry.evaluation_options import LOSS
from registry.policy import Policy
from registry.records import Record

_MIN_SIDE = 5  # rows of each side below which an attack's strength says nothing


class Memorisation(Record, frozen=True, kw_only=True):
    """What the adapter reproduces."""

    training: Estimate
    """Share of training answers that the adapter writes word for word."""
    heldout: Estimate
    """The same of held-out answers."""
    beyond_heldout: Estimate
    """The first minus the second."""
    canaries: Estimate
    """Share of planted rows whose answer the adapter writes word for word."""
    canaries_of_base: Estimate
    """The same of the base model, which never saw them."""
    attack: Estimate
    """Probability that a training row lost more loss, against the base, than a held-out row: 0.5
    tells nothing apart, 1 tells every row that was trained on."""

    @property
    def is_shown(self) -> bool:
        """Whether anything is surely reproduced that the base or chance does not explain."""
        canaries, base, attack = self.canaries.low, self.canaries_of_base.high, self.attack.low
        planted = canaries is not None and base is not None and canaries > base
        told_apart = attack is not None and attack > 0.5  # chance is 0.5
        beyond = self.beyond_heldout.low
        return planted or (told_apart and beyond is not None and beyond > 0)


def find_memorisation(evidence: Evidence) -> Memorisation | None:
    """Return what the adapter reproduces; none without training rows."""
    training = evidence.suites.get(TRAINING)
    if training is None:
        return None
    heldout, policy = evidence.heldout, evidence.policy
    plain = training.targets.keys() - training.canaries
    ours = _reproduced(training, ArmName.ADAPTER, plain, policy)
    theirs = _reproduced(heldout, ArmName.ADAPTER, heldout.targets.keys(), policy)
    return Memorisation(
        training=ours,
        heldout=theirs,
        beyond_heldout=intervals.independent_difference(ours, theirs),
        canaries=_reproduced(training, ArmName.ADAPTER, training.canaries, policy),
        canaries_of_base=_reproduced(training, ArmName.BASE, training.canaries, policy),
        attack=_attack(_improvements(training, plain), _improvements(heldout, None), policy.alpha),
    )


def _reproduced(suite: SuiteEvidence, arm: str, rows: Collection[int], policy: Policy) -> Estimate:
    outputs = suite.outputs.get(arm, {})
    said = {
        row: outputs[row].strip() == suite.targets[row].strip()
        for row in sorted(rows)
        if row in outputs
    }
    return share(said, suite, policy)


class _Improvements(Record, frozen=True, kw_only=True):
    """By how much rows' losses fell against the base, and the cluster of each row."""

    values: list[float]
    groups: list[str]


def _improvements(suite: SuiteEvidence, rows: Collection[int] | None) -> _Improvements:
    base: Mapping[int, float] = suite.scores.get(ArmName.BASE, {}).get(LOSS, {})
    adapter: Mapping[int, float] = suite.scores.get(ArmName.ADAPTER, {}).get(LOSS, {})
    shared = base.keys() & adapter.keys()
    chosen = sorted(shared if rows is None else shared & set(rows))
    groups = groups_of(chosen, suite.clusters)
    return _Improvements(
        values=[base[row] - adapter[row] for row in chosen],
        groups=[str(row) for row in chosen] if groups is None else groups,
    )


def _attack(ours: _Improvements, theirs: _Improvements, alpha: float) -> Estimate:
    """Estimate the area under the curve of the attack that tells training rows by their loss.

    Source of the variance: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837,
    doi:10.2307/2531595; for rows in clusters, with the sums of each cluster: Obuchowski, Biometrics
    53 (1997) 567, doi:10.2307/2533958.
    """
    training, heldout = ours.values, theirs.values
    m, n = len(training), len(heldout)
    if min(m, n) < _MIN_SIDE:
        return Estimate(mean=None, low=None, high=None, n=m + n, method="too few rows")
    ranks = rankdata([*training, *heldout])
    above = (ranks[:m] - rankdata(training)) / n
    below = 1 - (ranks[m:] - rankdata(heldout)) / m
    area = float(above.mean())
    parts = (_squared_error(above, ours.groups), _squared_error(below, theirs.groups))
    if None in parts:
        return Estimate(mean=area, low=None, high=None, n=m + n, method="one cluster")
    error = float(np.sqrt(sum(part or 0.0 for part in parts)))
    half = float(norm.isf(alpha / 2)) * error
    low, high = max(area - half, 0.0), min(area + half, 1.0)
    return Estimate(mean=area, low=low, high=high, n=m + n, method="area under the curve, DeLong")


def _squared_error(values: npt.NDArray[np.float64], groups: list[str]) -> float | None:
    """Return the squared standard error of a mean; none where all rows are one cluster."""
    found = clustered.precision([float(value) for value in values], groups)
    if found.clusters < 2:
        return None
    return found.standard_error**2 * found.clusters / (found.clusters - 1)
