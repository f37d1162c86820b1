"""Drift as it goes over the wire.

It refuses to know how it is computed.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from registry.records import (
    Arm,
    Deployment,
    DriftReport,
    DriftState,
    DriftStatistic,
    FeatureDrift,
    FeatureKind,
)


class SampleObject(msgspec.Struct, frozen=True, kw_only=True):
    """Interactions that were compared."""

    rows: int
    """How many."""
    since: float | None
    """Unix time in seconds of the first; null without any."""
    until: float | None
    """Unix time in seconds of the last."""


class FigureObject(msgspec.Struct, frozen=True, kw_only=True):
    """One statistic of one feature."""

    statistic: DriftStatistic
    """`psi`, `jensen_shannon` (divergence in bits), `kolmogorov_smirnov`, `chi_squared` or
    `classifier_auc`."""
    value: float
    """The figure."""
    low: float | None
    """Lower bound of its 95 % interval; null where it has none."""
    high: float | None
    """Upper bound of the same."""
    p_value: float | None
    """Chance of a figure as large without drift, unadjusted; null where it is no test."""
    reference_rows: int
    """Rows of the reference behind it."""
    window_rows: int
    """Rows of the window behind it."""


class FeatureObject(msgspec.Struct, frozen=True, kw_only=True):
    """One feature, compared."""

    feature: str
    """Its name."""
    kind: FeatureKind
    """`number`, `category` or `text`."""
    state: DriftState
    """`steady`, `watch`, `act` or `too_few`."""
    reason: str
    """Why, in a sentence."""
    reference_rows: int
    """Rows of the reference with a value."""
    window_rows: int
    """Rows of the window with a value."""
    rows_needed: int | None
    """Rows still needed for a figure; null where no further row would help."""
    figures: list[FigureObject]
    """The statistics; none while there are too few rows."""


class VersionDriftObject(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a deployment: its latest interactions against its first."""

    arm: Arm
    """`stable` or `candidate`."""
    model: str
    """The version."""
    state: DriftState | None
    """The worst of its features; null while it was never computed."""
    computed_at: float | None
    """Unix time in seconds; null while it was never computed."""
    reference: SampleObject | None
    """The first interactions of the version in this arm; fixed once they are complete."""
    window: SampleObject | None
    """The latest after them."""
    features: list[FeatureObject]
    """Every feature, by name."""


class DriftObject(msgspec.Struct, frozen=True, kw_only=True):
    """The drift of a deployment's versions."""

    object: Literal["deployment.drift"] = "deployment.drift"
    """Always `deployment.drift`."""
    deployment: str
    """The deployment's name."""
    data: list[VersionDriftObject]
    """The stable version, and the candidate if there is one."""


def drift_object(deployment: Deployment, reports: Sequence[DriftReport]) -> DriftObject:
    """Return what is known of the drift of a deployment's versions.

    Args:
        deployment: The deployment.
        reports: The newest reports on it; a version without one was never computed.
    """
    by_place = {(report.arm, report.model): report for report in reports}
    named = [(Arm.STABLE, deployment.stable), (Arm.CANDIDATE, deployment.candidate)]
    data = [
        _version(arm, model, by_place.get((arm, model)))
        for arm, model in named
        if model is not None
    ]
    return DriftObject(deployment=deployment.name, data=data)


def _version(arm: Arm, model: str, report: DriftReport | None) -> VersionDriftObject:
    if report is None:
        return VersionDriftObject(
            arm=arm,
            model=model,
            state=None,
            computed_at=None,
            reference=None,
            window=None,
            features=[],
        )
    return VersionDriftObject(
        arm=arm,
        model=model,
        state=report.state,
        computed_at=report.computed_at,
        reference=SampleObject(
            rows=report.reference_rows, since=report.reference_since, until=report.reference_until
        ),
        window=SampleObject(
            rows=report.window_rows, since=report.window_since, until=report.window_until
        ),
        features=[_feature(feature) for feature in report.features],
    )


def _feature(feature: FeatureDrift) -> FeatureObject:
    figures = [
        FigureObject(
            **msgspec.structs.asdict(figure),
            reference_rows=feature.reference_rows,
            window_rows=feature.window_rows,
        )
        for figure in feature.figures
    ]
    return FeatureObject(**(msgspec.structs.asdict(feature) | {"figures": figures}))
