"""What every suite shows beside the verdict: arms, differences, segments.

It refuses to conclude: the verdict is made on the held-out rows alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from evals.aggregates import aggregates
from evals.clusters import clusters_of
from evals.compare import ArmName, Difference, compare, summarise
from evals.corpora import BLEU, corpus_of
from evals.intervals import Estimate
from evals.panel import Arm
from evals.results import Material, scores_of, unscored_rows
from evals.scoring import Scheme
from evals.suites.suite import HELDOUT, Suite

MAX_SEGMENTS = 50
"""Segments shown: the largest ones."""
Scores = Mapping[str, Mapping[str, Mapping[int, float]]]


def without_further_models(material: Material) -> Material:
    """Return the material of the verdict: further models are shown, and decide nothing."""
    arms = [arm for arm in material.arms if arm in set(ArmName)]
    return msgspec.structs.replace(material, arms=arms)


def add_suites(
    content: dict[str, Any],
    suites: Sequence[Suite],
    materials: Sequence[Material],
    schemes: Mapping[str, Scheme],
) -> None:
    """Add to an evaluation's results what its suites show.

    The held-out suite's arms and differences stand at the top; its further models' differences
    under `model_differences`, since the verdict does not look at them.
    """
    known = {arm: found["metrics"] for arm, found in content["arms"].items()}
    shown = {
        suite.name: _suite(
            suite, material, schemes[suite.name], known if suite.name == HELDOUT else {}
        )
        for suite, material in zip(suites, materials, strict=True)
    }
    heldout = shown.pop(HELDOUT)
    content["arms"] = heldout["arms"]
    content["answers"] = heldout["answers"]
    content["segments"] = heldout["segments"]
    content["model_differences"] = heldout["model_differences"]
    content["corpus_differences"] = heldout["corpus_differences"]
    content["suites"] = shown


def _suite(
    suite: Suite, material: Material, scheme: Scheme, known: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a suite shows; `known` are estimates by arm that are made already."""
    policy, scores = material.policy, scores_of(material)
    alpha, seed = policy.alpha, policy.seed
    clusters = clusters_of(material.rows)
    corpus = corpus_of(material.answers, material.targets, clusters, scheme.shape, policy)
    arms = _arms(suite.arms, material, scheme, _estimates(scores, material, known))
    for arm, bleu in corpus.bleu.items():
        arms[arm][BLEU] = bleu
    content: dict[str, Any] = {
        "title": suite.title,
        "rows": len(material.rows),
        "answers": str(scheme.shape),
        "arms": arms,
        "metric_kinds": material.kinds,
        "differences": []
        if suite.name == HELDOUT
        else compare(
            _known(scores),
            material.kinds,
            alpha=alpha,
            seed=seed,
            clusters=clusters,
        ),
        "model_differences": _model_differences(scores, material),
        "corpus_differences": corpus.differences,
        "segments": _segments(material, scores),
    }
    built: dict[str, Any] = msgspec.to_builtins(content)
    return built


def _known(scores: Scores) -> dict[str, Mapping[str, Mapping[int, float]]]:
    return {arm: found for arm, found in scores.items() if arm in set(ArmName)}


def _estimates(
    scores: Scores, material: Material, known: Mapping[str, Any]
) -> dict[str, dict[str, Estimate]]:
    """Return each arm's estimates; resampling takes time, so none is made twice."""
    policy = material.policy
    rest = {arm: found for arm, found in scores.items() if arm not in known}
    made = summarise(
        rest,
        material.kinds,
        alpha=policy.alpha,
        seed=policy.seed,
        clusters=clusters_of(material.rows),
    )
    return made | {arm: msgspec.convert(found, dict[str, Estimate]) for arm, found in known.items()}


def _arms(
    arms: Sequence[Arm],
    material: Material,
    scheme: Scheme,
    estimates: Mapping[str, dict[str, Estimate]],
) -> dict[str, Any]:
    policy = material.policy
    return {
        arm.name: {
            "model": arm.model,
            "prompting": arm.prompting,
            "examples": arm.examples,
            "n": len(material.rows),
            "unscored": unscored_rows(material, arm.name),
            "from_cache": sum(a.from_cache for a in material.answers if a.arm == arm.name),
            "metrics": estimates[arm.name],
            **aggregates(
                [answer for answer in material.answers if answer.arm == arm.name],
                material.targets,
                scheme.shape,
                estimates[arm.name],
                policy,
                clusters_of(material.rows),
            ),
        }
        for arm in arms
    }


def _model_differences(scores: Scores, material: Material) -> list[Difference]:
    """Return the adapter minus each further model, by metric."""
    policy = material.policy
    found: list[Difference] = []
    for model in scores.keys() - set(ArmName):
        pair: Scores = {"adapter": scores[ArmName.ADAPTER], "base": scores[model]}
        found += [
            msgspec.structs.replace(difference, baseline=model)
            for difference in compare(
                pair,
                material.kinds,
                alpha=policy.alpha,
                seed=policy.seed,
                clusters=clusters_of(material.rows),
            )
        ]
    return sorted(found, key=lambda difference: (difference.baseline, difference.metric))


def _segments(material: Material, scores: Scores) -> dict[str, Any]:
    """Return each arm's estimate of the first metric by segment; empty without segments."""
    rows: dict[str, set[int]] = {}
    for number, row in material.rows.items():
        if row.segment is not None:
            rows.setdefault(row.segment, set()).add(number)
    metric = next(iter(material.kinds))
    kinds = {metric: material.kinds[metric]}
    largest = sorted(rows, key=lambda segment: (-len(rows[segment]), segment))[:MAX_SEGMENTS]
    return {
        segment: {
            "metric": metric,
            "rows": len(rows[segment]),
            "arms": {
                arm: estimates[metric]
                for arm, estimates in summarise(
                    _of_rows(scores, metric, rows[segment]),
                    kinds,
                    alpha=material.policy.alpha,
                    seed=material.policy.seed,
                    clusters=clusters_of(material.rows),
                ).items()
            },
        }
        for segment in largest
    }


def _of_rows(scores: Scores, metric: str, rows: set[int]) -> dict[str, dict[str, dict[int, float]]]:
    return {
        arm: {metric: {row: value for row, value in found[metric].items() if row in rows}}
        for arm, found in scores.items()
    }
