"""How far the latest requests of a deployment's version are from those it began with.

It refuses to know how a figure is computed, and what follows from it.
"""

from enum import StrEnum

import msgspec

from registry.records.deployments import Arm
from registry.records.record import Record


class FeatureKind(StrEnum):
    """What a feature's values are."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"


class DriftStatistic(StrEnum):
    """How two samples are compared."""

    PSI = "psi"
    """Population stability index over bins fixed on the reference; 0 when alike, no upper bound."""
    JENSEN_SHANNON = "jensen_shannon"
    """Jensen–Shannon divergence (not the distance) in bits; 0 when alike, 1 with nothing shared."""
    KOLMOGOROV_SMIRNOV = "kolmogorov_smirnov"
    """Largest difference of the two cumulative shares, 0 to 1."""
    CHI_SQUARED = "chi_squared"
    """Pearson's statistic of the table of categories; it grows with the rows."""
    CLASSIFIER_AUC = "classifier_auc"
    """How well a classifier tells texts of the two apart: 0.5 when alike, 1 when always."""


class DriftState(StrEnum):
    """What is concluded."""

    TOO_FEW = "too_few"
    """Too few rows for any figure."""
    STEADY = "steady"
    """No difference that matters."""
    WATCH = "watch"
    """A difference to keep an eye on."""
    ACT = "act"
    """A difference to do something about."""


class DriftFigure(Record, frozen=True, kw_only=True):
    """One statistic of one feature."""

    statistic: DriftStatistic
    """Which."""
    value: float
    """The figure, from the rows that its feature names."""
    low: float | None = None
    """Lower bound of its 95 % interval, where there is one."""
    high: float | None = None
    """Upper bound of the same."""
    p_value: float | None = None
    """Chance of a figure as large without any drift, where the statistic is a test."""


class FeatureDrift(Record, frozen=True, kw_only=True):
    """One feature, compared."""

    feature: str
    """Its name."""
    kind: FeatureKind
    """What its values are."""
    state: DriftState
    """What is concluded of it."""
    reason: str
    """Why, in a sentence."""
    reference_rows: int
    """Rows of the reference that have a value: the n of every figure."""
    window_rows: int
    """Rows of the latest window that have a value: the other n."""
    rows_needed: int | None = 0
    """Rows still needed before there is a figure; none where no further row would help."""
    figures: list[DriftFigure] = msgspec.field(default_factory=list)
    """The statistics; none while there are too few rows."""


class DriftTarget(Record, frozen=True, kw_only=True, order=True):
    """A version that a deployment points at."""

    project: str
    """The deployment's project."""
    deployment: str
    """The deployment."""
    arm: Arm
    """Stable or candidate."""
    model: str
    """The version."""


class DriftRow(Record, frozen=True, kw_only=True):
    """What is compared of one interaction."""

    seq: int
    """Its place in the order of all interactions."""
    endpoint: str
    """The dialect."""
    status: int
    """HTTP status the client saw."""
    finish_reason: str | None
    """Why the answer ended."""
    prompt_tokens: int | None
    """Tokens of the prompt."""
    completion_tokens: int | None
    """Tokens of the answer."""
    mean_logprob: float | None
    """Mean log-probability of the answer's tokens, in nats."""
    features: dict[str, float]
    """Figures of request and answer, by name."""
    created_at: float
    """Unix time in seconds."""


class DriftReport(Record, frozen=True, kw_only=True):
    """Every feature of one version, compared; the newest of each target is kept."""

    project: str
    """The deployment's project."""
    deployment: str
    """The deployment."""
    arm: Arm
    """Stable or candidate."""
    model: str
    """The version."""
    state: DriftState
    """The worst of its features."""
    computed_at: float
    """Unix time in seconds."""
    reference_rows: int
    """Interactions of the reference."""
    reference_since: float | None
    """Unix time in seconds of its first; none without any."""
    reference_until: float | None
    """Unix time in seconds of its last."""
    window_rows: int
    """Interactions of the window: the latest after the reference."""
    window_since: float | None
    """Unix time in seconds of its first; none without any."""
    window_until: float | None
    """Unix time in seconds of its last."""
    features: list[FeatureDrift]
    """The features, by name."""
