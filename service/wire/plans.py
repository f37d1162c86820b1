"""Plans of evaluations and experiments: how many rows show an effect, and the reverse.

It refuses to compute one.
"""

from typing import Literal

import msgspec

from registry.sample_size import POWER, Design, Outcome, Plan, Question


class PlanEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A question of planning: give `effect` to learn the rows, or `rows` to learn the effect."""

    design: Design = Design.PAIRED
    """`paired`: both systems answer the same rows; `independent`: each answers rows of its own."""
    outcome: Outcome = Outcome.BINARY
    """`binary`: right or wrong; `continuous`: a number, with a given variance."""
    effect: float | None = None
    """Difference that should be shown, in the score's unit."""
    rows: int | None = None
    """Rows at hand: in all when paired, in each arm when independent."""
    rate: float | None = None
    """Share of right answers without the change, for binary outcomes."""
    discordant_share: float | None = None
    """Share of the rows that only one of the two answers rightly, for paired binary outcomes."""
    variance: float | None = None
    """Variance of a row's difference when paired, of a row's score when independent."""
    answer_variance: float = 0.0
    """Variance of one system's score among repeated answers to one row."""
    answers: int = 1
    """Answers of each system to each row, averaged."""
    cluster_rows: float = 1.0
    """Mean rows of a cluster, such as turns of one conversation."""
    cluster_correlation: float = 0.0
    """Correlation between two rows of one cluster."""
    power: float = POWER
    """Probability with which the effect is shown."""
    alpha: float = 0.05
    """Level of the two-sided test."""


class PlanObject(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a question of planning."""

    object: Literal["evaluation.plan"] = "evaluation.plan"
    """Always `evaluation.plan`."""
    rows: int
    """Rows: in all when paired, in each arm when independent."""
    rows_in_all: int
    """Rows of all arms together."""
    effect: float
    """Smallest difference that these rows show with the power asked for."""
    clusters: int
    """Clusters among `rows`."""
    design_effect: float
    """How many times more rows are needed because rows of one cluster are alike."""
    method: str
    """The formula, by name."""
    assumptions: list[str]
    """What was assumed because it was not said."""


def question_of(request: PlanEvaluation) -> Question:
    """Return a request as a question."""
    return Question(**{name: getattr(request, name) for name in PlanEvaluation.__struct_fields__})


def plan_object(found: Plan) -> PlanObject:
    """Return a plan as it goes over the wire."""
    return PlanObject(**{name: getattr(found, name) for name in Plan.__struct_fields__})
