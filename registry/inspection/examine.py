"""A report on rows, made in one pass.

It refuses to know where rows come from, and needs no tokenizer: without one, lengths are unknown.
"""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from registry.chatdata import Row
from registry.inspection.answers import EndLook, FormatLook, LabelLook
from registry.inspection.exposure import PERSONAL, SECRETS, ExposureLook
from registry.inspection.findings import findings_of
from registry.inspection.languages import LanguageLook
from registry.inspection.oddities import OddityLook
from registry.inspection.records import Report, Steps
from registry.inspection.repeats import Leaks, Repeats
from registry.inspection.sizes import SizeLook
from registry.inspection.view import View, view_of
from registry.planning.rules import auto_batch_size, auto_epochs, heldout_rows, total_steps
from registry.rendering import BatchTokenizer

MAX_ROWS = 1_000_000
"""Most rows that are looked at; further ones are counted. What is remembered of each takes half a
kilobyte."""


class Look(Protocol):
    """Sees every row once, and knows something at the end."""

    def see(self, view: View) -> None:
        """Look at a row."""


def examine(
    rows: Iterable[Row],
    *,
    validation: Iterable[Row] | None = None,
    tokenizer: BatchTokenizer | None = None,
    max_length: int = 2048,
) -> Report:
    """Return the report on training rows.

    Args:
        rows: The training rows; read once, one at a time.
        validation: Rows that must not be known from training.
        tokenizer: The base model's; without it lengths are unknown.
        max_length: Longest row that is trained on whole, in tokens.

    Raises:
        InvalidData: Rows are at fault.
    """
    leaks = None if validation is None else Leaks(map(view_of, validation))
    sizes = None if tokenizer is None else SizeLook(tokenizer, max_length)
    repeats, labels, formats, ends = Repeats(), LabelLook(), FormatLook(), EndLook()
    oddities, exposure, languages = OddityLook(), ExposureLook(), LanguageLook()
    looks: list[Look] = [repeats, labels, formats, ends, oddities, exposure, languages]
    looks += [look for look in (sizes, leaks) if look is not None]
    count = 0
    for row in rows:
        count += 1
        if count > MAX_ROWS:
            continue
        view = view_of(row)
        for look in looks:
            look.see(view)
    near_duplicates = repeats.near_duplicates()
    report = Report(
        rows=count,
        looked_at=min(count, MAX_ROWS),
        compared=repeats.compared,
        boilerplate=round(repeats.boilerplate, 4),
        tokens=sizes.result() if sizes else None,
        duplicates=repeats.duplicates(),
        near_duplicates=near_duplicates,
        contradictions=repeats.contradictions(),
        labels=labels.result(),
        answers=formats.result(),
        missing_ends=ends.result(),
        unusual=oddities.result(),
        languages=languages.result(),
        secrets=exposure.result(SECRETS),
        personal_data=exposure.result(PERSONAL),
        leakage=leaks.result() if leaks else None,
        estimated_steps=_steps(count, has_validation=validation is not None),
    )
    return msgspec.structs.replace(report, findings=findings_of(report))


def _steps(rows: int, *, has_validation: bool) -> Steps | None:
    """Return what a job would do with everything `auto`; none with too few rows for one."""
    trained_on = rows if has_validation else rows - heldout_rows(rows)
    if trained_on < 1:
        return None
    epochs, batch_size = auto_epochs(trained_on), auto_batch_size(trained_on)
    steps = total_steps(rows=trained_on, epochs=epochs, batch_size=batch_size)
    return Steps(n_epochs=epochs, batch_size=batch_size, steps=steps)
