"""Figures of an arm that need all of its rows: macro F1, per class, calibration, perplexity.

It refuses to compare arms.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from evals import resampling
from evals.clusters import groups_of
from evals.intervals import Estimate
from evals.scorers.calibration import BINS, reliability
from evals.scorers.classification import by_class
from evals.scorers.normalised_match import normalised
from evals.scorers.perplexity import perplexity
from evals.scoring import CONFIDENCE, PROMPT_TOKENS
from evals.shapes import RowKind, Shape
from registry.evaluation_options import LOSS
from registry.policy import Policy
from registry.records import EvaluationRow


def aggregates(
    answers: Sequence[EvaluationRow],
    targets: Mapping[int, str],
    shape: Shape,
    metrics: Mapping[str, Estimate],
    policy: Policy,
    clusters: Mapping[int, str],
) -> dict[str, Any]:
    """Return what an arm shows beside the means of its rows; what does not apply is absent.

    Args:
        answers: The arm's stored answers.
        targets: The right answers by row.
        shape: What the targets are.
        metrics: The arm's estimates.
        policy: Level and seed.
        clusters: The cluster of each row.
    """
    found: dict[str, Any] = {}
    loss = metrics.get(LOSS)
    if loss is not None and loss.mean is not None:
        found["perplexity"] = _perplexity(loss)
    tokens = [a.scores[PROMPT_TOKENS] for a in answers if PROMPT_TOKENS in a.scores]
    if tokens:
        found["prompt_tokens"] = {"mean": sum(tokens) / len(tokens), "n": len(tokens)}
    if shape.other == RowKind.LABEL:
        labelled = [
            answer
            for answer in answers
            if answer.output is not None and shape.kind_of(targets[answer.row]) == RowKind.LABEL
        ]
        found |= _classes(labelled, targets, policy, clusters)
        found |= _calibration(labelled, targets, policy, clusters)
    return found


def _perplexity(loss: Estimate) -> Estimate:
    """Return the loss as perplexity; exp keeps the order, so it keeps the interval's level."""
    bounds = {
        name: None if value is None else perplexity(value)
        for name, value in (("mean", loss.mean), ("low", loss.low), ("high", loss.high))
    }
    return msgspec.structs.replace(loss, **bounds)


def _classes(
    answers: Sequence[EvaluationRow],
    targets: Mapping[int, str],
    policy: Policy,
    clusters: Mapping[int, str],
) -> dict[str, Any]:
    if not answers:
        return {}
    said = [answer.output or "" for answer in answers]
    wanted = [targets[answer.row] for answer in answers]
    labels = sorted({normalised(target) for target in wanted})
    places = {label: place for place, label in enumerate(labels)}
    beyond = len(labels)  # an answer that is none of the labels
    found = np.array([places.get(normalised(answer), beyond) for answer in said])
    right = np.array([places[normalised(target)] for target in wanted])

    def macro_f1(rows: resampling.Places) -> float:
        answered, asked = found[rows], right[rows]
        hits = np.bincount(asked[answered == asked], minlength=beyond + 1)[:beyond]
        said_of = np.bincount(answered, minlength=beyond + 1)[:beyond]
        asked_of = np.bincount(asked, minlength=beyond + 1)[:beyond]
        present = asked_of > 0  # a label that a resample lacks has no F1 there
        return float(np.mean(2 * hits[present] / (said_of + asked_of)[present]))

    groups = groups_of([answer.row for answer in answers], clusters)
    estimate = resampling.estimate(
        macro_f1, len(said), alpha=policy.alpha, seed=policy.seed, groups=groups
    )
    return {"macro_f1": estimate, "per_class": by_class(said, wanted)}


def _calibration(
    answers: Sequence[EvaluationRow],
    targets: Mapping[int, str],
    policy: Policy,
    clusters: Mapping[int, str],
) -> dict[str, Any]:
    sure = [answer for answer in answers if CONFIDENCE in answer.scores]
    if not sure:
        return {}
    confidences = [answer.scores[CONFIDENCE] for answer in sure]
    right = [float(normalised(a.output or "") == normalised(targets[a.row])) for a in sure]
    values, hits = np.array(confidences), np.array(right)
    bins = np.minimum((values * BINS).astype(int), BINS - 1)

    def error(rows: resampling.Places) -> float:
        gaps = np.bincount(bins[rows], weights=(values - hits)[rows], minlength=BINS)
        return float(np.abs(gaps).sum() / len(rows))

    return {
        "calibration_error": resampling.estimate(
            error,
            len(sure),
            alpha=policy.alpha,
            seed=policy.seed,
            groups=groups_of([answer.row for answer in sure], clusters),
        ),
        "reliability": reliability(confidences, right),
    }
