"""Every feature of two samples of interactions, compared: pure.

It refuses to know which deployment they come from. Below the floor there is no figure.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from evals.drift.categories import compare_categories
from evals.drift.features import (
    CATEGORIES,
    KINDS,
    NUMBERS,
    PROMPT_TEXT,
    TEXT_FEATURES,
    Columns,
)
from evals.drift.numbers import compare_numbers
from evals.drift.separation import Units, separate
from evals.drift.texts import Words, features_of
from evals.drift.verdict import concluded
from registry.records import DriftFigure, DriftState, DriftStatistic, FeatureDrift, Record


class Floor(Record, frozen=True, kw_only=True):
    """How many rows a comparison needs."""

    rows: int
    """Fewest rows with a value, on each side."""
    reference_rows: int
    """Rows that make the reference complete; before that nothing is compared."""


class Texts(Record, frozen=True, kw_only=True):
    """The kept texts of two samples."""

    reference: list[Words]
    """Of the reference."""
    window: list[Words]
    """Of the latest window."""


def compare(
    reference: Columns, window: Columns, *, floor: Floor, texts: Texts | None = None
) -> list[FeatureDrift]:
    """Return every feature, compared and concluded, by name.

    Args:
        reference: The reference's rows.
        window: The latest rows after it.
        floor: How many are needed.
        texts: The texts kept of both; none where the project keeps none.
    """
    found = [_number(each.name, reference, window, floor) for each in NUMBERS]
    found += [_category(each.name, reference, window, floor) for each in CATEGORIES]
    if texts is not None:
        found += [_text(name, reference.rows, texts, floor) for name in TEXT_FEATURES]
    return sorted(concluded(found), key=lambda each: each.feature)


def _number(name: str, reference: Columns, window: Columns, floor: Floor) -> FeatureDrift:
    before, now = reference.numbers(name), window.numbers(name)
    known = [int(np.count_nonzero(~np.isnan(side))) for side in (before, now)]
    sizes = _Sizes(gathered=reference.rows, reference=known[0], window=known[1])
    short = _shortage(name, sizes, floor)
    return short or _compared(name, sizes, compare_numbers(before, now))


def _category(name: str, reference: Columns, window: Columns, floor: Floor) -> FeatureDrift:
    before, now = reference.categories(name), window.categories(name)
    sizes = _Sizes(gathered=reference.rows, reference=len(before), window=len(now))
    short = _shortage(name, sizes, floor)
    return short or _compared(name, sizes, compare_categories(before, now))


def _text(name: str, gathered: int, texts: Texts, floor: Floor) -> FeatureDrift:
    before, now = _known(name, texts.reference), _known(name, texts.window)
    sizes = _Sizes(gathered=gathered, reference=len(before), window=len(now))
    short = _shortage(name, sizes, floor)
    if short:
        return short
    both = [*before, *now]
    found = separate(
        features_of([each.text for each in both]),
        np.arange(len(both)) >= len(before),
        _units([each.unit_hash for each in both]),
    )
    if found is None:
        told = _compared(name, sizes, [])
        reason = "The texts come from too few units: a classifier would learn who wrote them."
        return msgspec.structs.replace(told, state=DriftState.TOO_FEW, reason=reason)
    figure = DriftFigure(
        statistic=DriftStatistic.CLASSIFIER_AUC, value=found.auc, low=found.low, high=found.high
    )
    return _compared(name, sizes, [figure])


class _Text(Record, frozen=True, kw_only=True):
    text: str
    unit_hash: str | None


def _known(name: str, side: Sequence[Words]) -> list[_Text]:
    """Return the texts that are not empty."""
    chosen = (
        _Text(text=words.prompt if name == PROMPT_TEXT else words.answer, unit_hash=words.unit_hash)
        for words in side
    )
    return [each for each in chosen if each.text.strip()]


def _units(hashes: Sequence[str | None]) -> Units | None:
    """Return which rows belong together; none where no row names its unit."""
    if not any(hashes):
        return None
    named = [each or f"row {place}" for place, each in enumerate(hashes)]
    return np.unique(named, return_inverse=True)[1]


class _Sizes(Record, frozen=True, kw_only=True):
    gathered: int  # rows of the reference, with a value or not
    reference: int  # rows of it with a value
    window: int  # rows of the window with a value


def _shortage(name: str, sizes: _Sizes, floor: Floor) -> FeatureDrift | None:
    """Return a feature that has too few rows; none when it has enough."""
    to_come = max(floor.reference_rows - sizes.gathered, 0)
    missing = max(floor.rows - sizes.window, 0)
    needed: int | None = to_come + missing
    if to_come:
        told = f"The reference has {sizes.gathered:,} of {floor.reference_rows:,} rows"
    elif sizes.reference < floor.rows:  # it is fixed: no further row of it will have a value
        told = f"The reference has {sizes.reference:,} rows with a value, {floor.rows:,} are needed"
        needed = None
    elif missing:
        told = f"The window has {sizes.window:,} rows with a value, {floor.rows:,} are needed"
    else:
        return None
    hope = "this version gets no figure" if needed is None else f"{needed:,} more to go"
    return FeatureDrift(
        feature=name,
        kind=KINDS[name],
        state=DriftState.TOO_FEW,
        reason=f"{told}; {hope}.",
        reference_rows=sizes.reference,
        window_rows=sizes.window,
        rows_needed=needed,
    )


def _compared(name: str, sizes: _Sizes, figures: list[DriftFigure]) -> FeatureDrift:
    """Return a feature with figures; its state follows once all are there."""
    return FeatureDrift(
        feature=name,
        kind=KINDS[name],
        state=DriftState.STEADY,
        reason="",
        reference_rows=sizes.reference,
        window_rows=sizes.window,
        figures=figures,
    )
