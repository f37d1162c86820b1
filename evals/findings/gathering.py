"""Stored answers as evidence.

It refuses to compute a score.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

from evals.clusters import clusters_of
from evals.compare import Difference, MetricKind, Scores
from evals.findings.evidence import SuiteEvidence
from evals.intervals import Estimate
from evals.scoring import PROMPT_TOKENS
from registry.chatdata import Row
from registry.policy import Policy
from registry.records import EvaluationRow


def suite_evidence(
    *,
    kinds: Mapping[str, MetricKind],
    scores: Scores,
    arms: Mapping[str, Mapping[str, Estimate]],
    differences: list[Difference],
    rows: Mapping[int, Row],
    targets: Mapping[int, str],
    answers: Iterable[EvaluationRow],
    shown: Callable[[Row], str],
) -> SuiteEvidence:
    """Return one suite's evidence.

    Args:
        kinds: The metrics that apply.
        scores: Scores by arm, metric and row.
        arms: Each arm's estimates by metric.
        differences: The adapter against each other arm.
        rows: The rows asked, by number.
        targets: Their right answers.
        answers: What was answered.
        shown: A row's prompt as a person reads it.
    """
    outputs: dict[str, dict[int, str]] = {}
    tokens: dict[str, dict[int, float]] = {}
    for answer in answers:
        if answer.output is not None and answer.row in rows:
            outputs.setdefault(answer.arm, {})[answer.row] = answer.output
        if PROMPT_TOKENS in answer.scores:
            tokens.setdefault(answer.arm, {})[answer.row] = answer.scores[PROMPT_TOKENS]
    return SuiteEvidence(
        kinds=kinds,
        scores=scores,
        arms=arms,
        differences=differences,
        outputs=outputs,
        targets=targets,
        prompts={number: shown(row) for number, row in rows.items()},
        clusters=clusters_of(rows),
        segments={n: row.segment for n, row in rows.items() if row.segment is not None},
        canaries=frozenset(number for number, row in rows.items() if row.canary),
        prompt_tokens=tokens,
    )


def gate_tests(policy: Policy, arms: Collection[str]) -> set[tuple[str, str]]:
    """Return metric and baseline of every test that the gate rests on: Holm's family."""
    metrics = {policy.primary_metric, *policy.guardrails}
    return {(metric, arm) for metric in metrics for arm in arms if arm in policy.must_beat}
