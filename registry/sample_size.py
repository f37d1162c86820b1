"""How many rows show an effect, and which effect a number of rows can show.

It refuses to know scores, verdicts and requests; normal approximations throughout, two-sided.
"""

import math
from enum import StrEnum
from statistics import NormalDist

from registry.errors import Invalid
from registry.records.record import Record

POWER = 0.8
"""Probability, by default, with which a planned number of rows shows the effect."""
MAX_ROWS = 10**12
"""Most rows that a plan names; more means that the effect cannot be shown."""
_INFLATION = "1 + (rows of a cluster - 1) × correlation"


class Design(StrEnum):
    """How the two systems meet their rows."""

    PAIRED = "paired"
    """Both answer the same rows."""
    INDEPENDENT = "independent"
    """Each answers rows of its own, as the arms of an experiment do."""


class Outcome(StrEnum):
    """What a row's score is."""

    BINARY = "binary"
    """Right or wrong."""
    CONTINUOUS = "continuous"
    """A number, with a given variance."""


class Question(Record, frozen=True, kw_only=True):
    """What is planned; exactly one of `effect` and `rows` is given."""

    design: Design = Design.PAIRED
    """How the systems meet their rows."""
    outcome: Outcome = Outcome.BINARY
    """What a row's score is."""
    effect: float | None = None
    """Difference that should be shown, in the score's unit."""
    rows: int | None = None
    """Rows at hand: in all when paired, in each arm when independent."""
    rate: float | None = None
    """Share of right answers without the change, for binary outcomes."""
    discordant_share: float | None = None
    """Share of the rows that only one of the two answers rightly, for paired binary outcomes."""
    variance: float | None = None
    """Variance of a row's difference when paired, of a row's score when independent; for
    continuous outcomes."""
    answer_variance: float = 0.0
    """Variance of one system's score among repeated answers to one row."""
    answers: int = 1
    """Answers of each system to each row, averaged."""
    cluster_rows: float = 1.0
    """Mean rows of a cluster, such as turns of one conversation."""
    cluster_correlation: float = 0.0
    """Correlation of the scores (when paired: of the differences) of two rows of one cluster."""
    power: float = POWER
    """Probability with which the effect is shown."""
    alpha: float = 0.05
    """Level of the two-sided test."""


class Plan(Record, frozen=True, kw_only=True):
    """The answer to a question."""

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


def plan(question: Question) -> Plan:
    """Answer a question of planning.

    Sources: Miller, arXiv 2411.00640, section 5, for rows that both answer; Cohen, Statistical
    Power Analysis (1988), chapter 6, for two independent shares (the arcsine transformation); Kish,
    Survey Sampling (1965), section 5.4, for the design effect.

    Raises:
        Invalid: A field is missing, contradicts another one or is out of range.
    """
    check(question)
    inflation = 1 + (question.cluster_rows - 1) * question.cluster_correlation
    if question.effect is not None:
        exact = _rows(question, abs(question.effect)) * inflation
        if exact > MAX_ROWS:
            raise Invalid(f"More than {MAX_ROWS:.0e} rows would be needed.", "effect")
        rows = max(round(exact), 2)  # half a row is less than the approximation can tell
        effect = abs(question.effect)
    else:
        rows = question.rows or 0
        effect = _effect(question, rows / inflation)
    return Plan(
        rows=rows,
        rows_in_all=rows * (1 if question.design is Design.PAIRED else 2),
        effect=effect,
        clusters=math.ceil(rows / question.cluster_rows),
        design_effect=inflation,
        method=_method(question),
        assumptions=_assumptions(question),
    )


def rows_for(variance: float, effect: float, alpha: float, power: float = POWER) -> int | None:
    """Return the rows that show a paired difference of `effect`.

    n = (z_half_alpha + z_power)² · ω² / δ², with ω² the variance of the differences and δ the
    effect. Source: Miller, arXiv 2411.00640, section 5, with one answer a row.

    Returns:
        The rows in all, or none when effect or variance is 0.
    """
    if effect == 0 or variance <= 0:
        return None
    return math.ceil(_quantiles(alpha, power) ** 2 * variance / (effect * effect))


def rows_without_discordance(effect: float, alpha: float) -> int | None:
    """Return the rows after which a difference of shares is surely smaller than `effect`.

    For systems that agree on every row: Tango's bounds are ± z² / (n + z²) then.

    Returns:
        The rows in all, or none when the effect is 0.
    """
    z = NormalDist().inv_cdf(1 - alpha / 2)
    return math.ceil(z * z * (1 / abs(effect) - 1)) + 1 if effect else None


def check(question: Question) -> None:
    """Check that a question can be answered.

    Raises:
        Invalid: A field is missing, contradicts another one or is out of range.
    """
    if (question.effect is None) == (question.rows is None):
        message = "Give either 'effect', to learn the rows, or 'rows', to learn the effect."
        raise Invalid(message, "effect")
    _check_open("alpha", question.alpha)
    _check_open("power", question.power)
    if question.power <= question.alpha / 2:
        raise Invalid("'power' must be above half of 'alpha'.", "power")
    _check_size(question)
    if question.cluster_rows < 1 or not math.isfinite(question.cluster_rows):
        raise Invalid("'cluster_rows' must be at least 1.", "cluster_rows")
    if not 0 <= question.cluster_correlation <= 1:
        raise Invalid("'cluster_correlation' must lie between 0 and 1.", "cluster_correlation")
    if question.answers < 1:
        raise Invalid("'answers' must be at least 1.", "answers")
    if not 0 <= question.answer_variance < math.inf:
        raise Invalid("'answer_variance' must be 0 or more.", "answer_variance")
    if question.outcome is Outcome.BINARY:
        _check_shares(question)
    else:
        _check_variance(question)


def _check_size(question: Question) -> None:
    if question.effect is not None and (not question.effect or not math.isfinite(question.effect)):
        raise Invalid("'effect' must be a number other than 0.", "effect")
    if question.rows is not None and not 2 <= question.rows <= MAX_ROWS:
        raise Invalid(f"'rows' must lie between 2 and {MAX_ROWS:.0e}.", "rows")


def _check_open(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise Invalid(f"'{name}' must lie between 0 and 1.", name)


def _check_variance(question: Question) -> None:
    for name in ("rate", "discordant_share"):
        if getattr(question, name) is not None:
            raise Invalid(f"'{name}' is for binary outcomes; give 'variance'.", name)
    if question.variance is None or not 0 < question.variance < math.inf:
        raise Invalid("A continuous outcome needs 'variance', above 0.", "variance")


def _check_shares(question: Question) -> None:
    if question.variance is not None:
        message = "'variance' is for continuous outcomes; a share's follows from 'rate'."
        raise Invalid(message, "variance")
    if question.rate is not None:
        _check_open("rate", question.rate)
        if question.effect is not None and not 0 < question.rate + question.effect < 1:
            message = "'rate' and 'effect' together must stay between 0 and 1."
            raise Invalid(message, "effect")
    if question.design is Design.INDEPENDENT:
        _check_independent(question)
    elif question.discordant_share is not None:
        _check_discordant(question, question.discordant_share)


def _check_independent(question: Question) -> None:
    if question.rate is None:
        raise Invalid("Two arms of shares need 'rate', the share without the change.", "rate")
    if question.discordant_share is not None:
        raise Invalid("'discordant_share' is for paired rows.", "discordant_share")
    if question.answer_variance or question.answers > 1:
        message = "Repeated answers are for paired or continuous outcomes."
        raise Invalid(message, "answers")


def _check_discordant(question: Question, share: float) -> None:
    if not 0 < share <= 1:
        raise Invalid("'discordant_share' must be above 0 and at most 1.", "discordant_share")
    if question.effect is not None and abs(question.effect) > share:
        message = "'effect' cannot exceed 'discordant_share': only those rows can differ."
        raise Invalid(message, "effect")


def _rows(question: Question, effect: float) -> float:
    """Return the rows for an effect, before the design effect."""
    z = _quantiles(question.alpha, question.power)
    if question.design is Design.INDEPENDENT and question.outcome is Outcome.BINARY:
        rate = question.rate or 0.0
        signed = math.copysign(effect, question.effect or 1.0)
        return 2 * (z / _arcsine_distance(rate, rate + signed)) ** 2
    return z * z * _variance(question, effect) / (effect * effect)


def _effect(question: Question, rows: float) -> float:
    """Return the smallest effect that so many independent rows show, upwards from the rate."""
    z = _quantiles(question.alpha, question.power)
    if question.design is Design.INDEPENDENT and question.outcome is Outcome.BINARY:
        rate = question.rate or 0.0
        angle = math.asin(math.sqrt(rate)) + z / math.sqrt(2 * rows)
        if angle >= math.pi / 2:
            raise Invalid("So few rows show no effect that 'rate' leaves room for.", "rows")
        return math.sin(angle) ** 2 - rate
    # The variance may fall with the effect, so the root is searched: rows fall as effects grow.
    low, high = 0.0, _largest(question)
    if _rows(question, high) > rows:
        raise Invalid("So few rows cannot show any effect that is possible here.", "rows")
    while (middle := (low + high) / 2) not in {low, high}:
        low, high = (low, middle) if _rows(question, middle) <= rows else (middle, high)
    return high


def _largest(question: Question) -> float:
    if question.outcome is Outcome.CONTINUOUS:
        return 10 * math.sqrt(_variance(question, 0.0)) * _quantiles(question.alpha, question.power)
    if question.discordant_share is not None:
        return question.discordant_share
    return 1.0 if question.rate is None else 1 - question.rate


def _variance(question: Question, effect: float) -> float:
    """Return the variance of what one row tells of the difference."""
    repeated = 2 * question.answer_variance / question.answers
    if question.outcome is Outcome.CONTINUOUS:
        spread = question.variance or 0.0
        return (spread if question.design is Design.PAIRED else 2 * spread) + repeated
    if question.discordant_share is not None:
        return question.discordant_share - effect * effect + repeated
    if question.rate is not None:
        other = min(question.rate + math.copysign(effect, question.effect or 1.0), 1.0)
        return question.rate * (1 - question.rate) + other * (1 - other) + repeated
    return 0.5 + repeated


def _arcsine_distance(first: float, second: float) -> float:
    return 2 * (math.asin(math.sqrt(second)) - math.asin(math.sqrt(first)))


def _quantiles(alpha: float, power: float) -> float:
    normal = NormalDist()
    return normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)


def _method(question: Question) -> str:
    if question.design is Design.INDEPENDENT:
        name = "arcsine of shares" if question.outcome is Outcome.BINARY else "two-sample z"
    else:
        name = "paired z"
    return f"{name}, design effect {_INFLATION}" if question.cluster_rows > 1 else name


def _assumptions(question: Question) -> list[str]:
    told = []
    if question.outcome is Outcome.BINARY and question.design is Design.PAIRED:
        if question.discordant_share is None and question.rate is None:
            told.append("Nothing is known of the shares: the two answer as if independent, at 0.5.")
        elif question.discordant_share is None:
            told.append(
                "The two answer as if independent; systems that agree on many rows need fewer "
                "(give 'discordant_share')."
            )
    if question.cluster_rows > 1 and not question.cluster_correlation:
        told.append("Rows of one cluster are taken as no more alike than others.")
    return told
