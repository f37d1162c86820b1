"""Plans of evaluations and experiments: how many rows show an effect, and the reverse.

It refuses to compute one.
"""

from typing import Literal

import msgspec

from registry.sample_size import Plan, Question


class PlanEvaluation(Question, frozen=True, kw_only=True):
    """A question of planning: give `effect` to learn the rows, or `rows` to learn the effect."""


class PlanObject(Plan, frozen=True, kw_only=True):
    """The answer to a question of planning."""

    object: Literal["evaluation.plan"] = "evaluation.plan"
    """Always `evaluation.plan`."""


def plan_object(found: Plan) -> PlanObject:
    """Return a plan as it goes over the wire."""
    return PlanObject(**msgspec.structs.asdict(found))
