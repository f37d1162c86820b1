"""How many examples a few-shot prompt gets, from the answers to training rows.

It refuses to know held-out rows.
"""

from collections.abc import Mapping, Sequence

from evals.compare import MetricKind
from evals.suites.choice import best_count
from evals.suites.suite import Suite
from registry.evaluation_options import LOSS
from registry.records import EvaluationRow, Record


class Choice(Record, frozen=True, kw_only=True):
    """The numbers of examples that were chosen."""

    counts: dict[str, int]
    """By arm."""
    notes: list[str]
    """What a reader should know, in sentences."""


def chosen_counts(
    trial: Suite,
    answers: Sequence[EvaluationRow],
    kinds: Mapping[str, MetricKind],
    primary_metric: str,
) -> Choice:
    """Choose each few-shot arm's number of examples; one without any score keeps the policy's.

    Args:
        trial: The rows asked, with an arm for each number, named `arm@number`.
        answers: What was answered.
        kinds: The metrics that apply to the rows.
        primary_metric: The metric that decides; exact match where it does not apply.
    """
    metric = primary_metric if primary_metric in kinds else "exact_match"
    of_equals = "by the lower loss" if LOSS in kinds else "the fewer"
    found = [answer for answer in answers if answer.suite == trial.name]
    counts: dict[str, int] = {}
    notes = []
    for name in dict.fromkeys(arm.name.partition("@")[0] for arm in trial.arms):
        tried = {arm.examples: arm.name for arm in trial.arms if arm.name.startswith(f"{name}@")}
        scores = {count: _values(found, arm, metric) for count, arm in tried.items()}
        best = best_count(
            scores,
            {count: _values(found, arm, LOSS) for count, arm in tried.items()},
            higher_is_better=kinds[metric].higher_is_better,
        )
        if best is not None:
            counts[name] = best
            means = ", ".join(f"{n}: {sum(s) / len(s):.3g}" for n, s in scores.items() if s)
            notes.append(
                f"{name} has {best} examples, chosen on {len(trial.entries)} training rows "
                f"by {metric} ({means}), of equals {of_equals}."
            )
    return Choice(counts=counts, notes=notes)


def _values(answers: Sequence[EvaluationRow], arm: str, metric: str) -> list[float]:
    return [a.scores[metric] for a in answers if a.arm == arm and metric in a.scores]
