"""Whether the adapter says by heart what it was trained on: answers, losses, planted canaries.

It refuses to know what was planted, and how.
"""

from collections.abc import Collection, Mapping

import numpy as np
from scipy.stats import norm, rankdata

from evals import intervals
from evals.compare import ArmName
from evals.findings.evidence import Evidence, SuiteEvidence
from evals.intervals import Estimate
from evals.suites.suite import TRAINING
from registry.records import Record

_LOSS = "loss"
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
    heldout, alpha = evidence.heldout, evidence.policy.alpha
    plain = training.targets.keys() - training.canaries
    ours = _reproduced(training, ArmName.ADAPTER, plain, alpha)
    theirs = _reproduced(heldout, ArmName.ADAPTER, heldout.targets.keys(), alpha)
    return Memorisation(
        training=ours,
        heldout=theirs,
        beyond_heldout=intervals.independent_difference(ours, theirs),
        canaries=_reproduced(training, ArmName.ADAPTER, training.canaries, alpha),
        canaries_of_base=_reproduced(training, ArmName.BASE, training.canaries, alpha),
        attack=_attack(_improvements(training, plain), _improvements(heldout, None), alpha),
    )


def _reproduced(suite: SuiteEvidence, arm: str, rows: Collection[int], alpha: float) -> Estimate:
    outputs = suite.outputs.get(arm, {})
    said = [outputs[row].strip() == suite.targets[row].strip() for row in rows if row in outputs]
    return intervals.proportion(sum(said), len(said), alpha)


def _improvements(suite: SuiteEvidence, rows: Collection[int] | None) -> list[float]:
    """Return by how much each row's loss fell against the base."""
    base: Mapping[int, float] = suite.scores.get(ArmName.BASE, {}).get(_LOSS, {})
    adapter: Mapping[int, float] = suite.scores.get(ArmName.ADAPTER, {}).get(_LOSS, {})
    shared = base.keys() & adapter.keys()
    return [
        base[row] - adapter[row] for row in sorted(shared if rows is None else shared & set(rows))
    ]


def _attack(training: list[float], heldout: list[float], alpha: float) -> Estimate:
    """Estimate the area under the curve of the attack that tells training rows by their loss.

    Source of the variance: DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837,
    doi:10.2307/2531595.
    """
    m, n = len(training), len(heldout)
    if min(m, n) < _MIN_SIDE:
        return Estimate(mean=None, low=None, high=None, n=m + n, method="too few rows")
    ranks = rankdata([*training, *heldout])
    above = (ranks[:m] - rankdata(training)) / n
    below = 1 - (ranks[m:] - rankdata(heldout)) / m
    area = float(above.mean())
    error = float(np.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n))
    half = float(norm.isf(alpha / 2)) * error
    low, high = max(area - half, 0.0), min(area + half, 1.0)
    return Estimate(mean=area, low=low, high=high, n=m + n, method="area under the curve, DeLong")
