"""From stored rows to what an evaluation publishes: estimates, differences, verdict, examples.

It refuses to know how the rows were answered. The same rows give the same results, to the bit.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import msgspec

from evals.clusters import clusters_of
from evals.compare import BASELINES, ArmName, MetricKind, compare, summarise
from evals.findings.evidence import Costs, Evidence, SuiteEvidence
from evals.findings.findings import find
from evals.findings.gathering import gate_tests, suite_evidence
from evals.findings.leakage import Leaks
from evals.suites.suite import HELDOUT
from evals.verdict import Decision, decide
from registry.chatdata import Row
from registry.policy import Policy
from registry.records import EvaluationRow, Record

MAX_EXAMPLES = 20
"""Rows shown in full."""
MAX_TEXT = 2_000
"""Characters of a shown text."""
_NONE: Mapping[str, "Material"] = MappingProxyType({})


class Material(Record, frozen=True, kw_only=True):
    """What results are made of."""

    policy: Policy
    """The rule of the verdict."""
    kinds: dict[str, MetricKind]
    """The metrics that apply."""
    arms: list[str]
    """Who was examined."""
    rows: dict[int, Row]
    """The rows asked, by number, in the order of asking."""
    targets: dict[int, str]
    """Their right answers."""
    answers: list[EvaluationRow]
    """What was answered."""
    notes: list[str]
    """What a reader of the verdict should know besides."""
    leaks: Leaks | None = None
    """Rows asked that stand in the training file; none when that file is not known."""
    costs: Costs = Costs()
    """What things cost."""


class Results(Record, frozen=True, kw_only=True):
    """A finished evaluation."""

    decision: Decision
    """The verdict."""
    content: dict[str, Any]
    """What `Evaluation.results` holds, but for hashes and duration."""
    rows: dict[str, dict[int, Row]] = msgspec.field(default_factory=dict)
    """The rows of every suite, by number, for the report."""
    targets: dict[str, dict[int, str]] = msgspec.field(default_factory=dict)
    """The right answers likewise."""


def conclude(material: Material, others: Mapping[str, Material] = _NONE) -> Results:
    """Compute the results of an evaluation.

    Args:
        material: The held-out rows.
        others: Further suites by name, for the findings.
    """
    policy, kinds = material.policy, material.kinds
    heldout = evidence_of(material)
    findings = find(
        Evidence(
            policy=policy,
            suites={HELDOUT: heldout}
            | {name: evidence_of(other) for name, other in others.items()},
            leaks=material.leaks,
            costs=material.costs,
        )
    )
    scores, estimates, differences = heldout.scores, heldout.arms, heldout.differences
    decision = decide(policy, kinds, estimates, differences, findings.conditions)
    notes = [*material.notes, *_missing(material, scores)]
    decision = msgspec.structs.replace(decision, reasons=[*decision.reasons, *notes])
    content = {
        "rows": len(material.rows),
        "arms": {
            arm: {
                "n": len(material.rows),
                "unscored": unscored_rows(material, arm),
                "metrics": estimates[arm],
            }
            for arm in material.arms
        },
        "differences": differences,
        "metric_kinds": kinds,
        "findings": findings,
        "decision": decision,
        "verdict": decision,
        "policy": policy,
        "examples": _examples(material, scores, decision),
    }
    return Results(decision=decision, content=msgspec.to_builtins(content))


def evidence_of(material: Material) -> SuiteEvidence:
    """Return one suite's scores, estimates and differences, with what was said."""
    policy, kinds, scores = material.policy, material.kinds, scores_of(material)
    alpha, seed, clusters = policy.alpha, policy.seed, clusters_of(material.rows)
    return suite_evidence(
        kinds=kinds,
        scores=scores,
        arms=summarise(scores, kinds, alpha=alpha, seed=seed, clusters=clusters),
        differences=compare(
            scores,
            kinds,
            alpha=alpha,
            seed=seed,
            clusters=clusters,
            family=gate_tests(policy, scores),
        ),
        rows=material.rows,
        targets=material.targets,
        answers=material.answers,
        shown=prompt_text,
    )


def digest(value: object) -> str:
    """Return the hash of a value's canonical JSON."""
    return sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def scores_of(material: Material) -> dict[str, dict[str, dict[int, float]]]:
    """Return the scores by arm, metric and row, rows in a fixed order."""
    scores: dict[str, dict[str, dict[int, float]]] = {
        arm: {metric: {} for metric in material.kinds} for arm in material.arms
    }
    for answer in sorted(material.answers, key=lambda answer: answer.row):
        for metric, value in answer.scores.items():
            if metric in material.kinds and answer.row in material.rows and answer.arm in scores:
                scores[answer.arm][metric][answer.row] = value
    return scores


def unscored_rows(material: Material, arm: str) -> int:
    """Return how many rows an arm has no answer to."""
    scored = {a.row for a in material.answers if a.arm == arm and a.output is not None}
    return len(material.rows.keys() - scored)


def _missing(
    material: Material, scores: Mapping[str, Mapping[str, Mapping[int, float]]]
) -> Iterable[str]:
    """Say of each arm and metric without any score why there is none."""
    for arm in material.arms:
        errors = [a.error for a in material.answers if a.arm == arm and a.error]
        why = f" The first reason: {errors[0]}" if errors else ""
        for metric in material.kinds:
            if not scores[arm][metric]:
                yield f"{metric} of {arm} is unscored on every row.{why}"


def _examples(
    material: Material,
    scores: Mapping[str, Mapping[str, Mapping[int, float]]],
    decision: Decision,
) -> list[dict[str, Any]]:
    """Return rows in full: first those that the adapter lost, then its other faults, then more."""
    by_row: dict[int, dict[str, EvaluationRow]] = {number: {} for number in material.rows}
    for answer in material.answers:
        by_row.get(answer.row, {})[answer.arm] = answer
    metric = decision.primary_metric if decision.primary_metric in material.kinds else "exact_match"
    sign = 1 if material.kinds[metric].higher_is_better else -1

    def standing(number: int) -> tuple[bool, float]:
        def of(arm: str) -> float:
            value = scores[arm][metric].get(number)
            return float("-inf") if value is None else sign * value

        ours = of(ArmName.ADAPTER)
        return ours >= max(of(arm) for arm in BASELINES if arm in material.arms), ours

    chosen = sorted(material.rows, key=standing)[:MAX_EXAMPLES]
    return [_example(material, number, by_row[number]) for number in chosen]


def _example(
    material: Material, number: int, answers: Mapping[str, EvaluationRow]
) -> dict[str, Any]:
    return {
        "row": number,
        "prompt": shortened(prompt_text(material.rows[number])),
        "target": shortened(material.targets[number]),
        "outputs": {
            arm: None if answer.output is None else shortened(answer.output)
            for arm, answer in answers.items()
        },
        "scores": {arm: answer.scores for arm, answer in answers.items()},
    }


def prompt_text(row: Row) -> str:
    """Return a row's prompt as a person reads it."""
    if row.messages is None:
        return row.prompt or ""
    before: Sequence[dict[str, Any]] = row.messages[:-1]
    if len(before) == 1:
        return str(before[0].get("content") or "")
    return "\n".join(f"{message['role']}: {message.get('content') or ''}" for message in before)


def shortened(text: str) -> str:
    """Return a text as it is shown, cut where it is long."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
