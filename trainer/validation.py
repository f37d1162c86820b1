"""A job's rows before training: sound, enough of them, and none on both sides.

It refuses to know storage, tokens and models.
"""

from collections.abc import Iterable, Sequence

from registry.chatdata import MIN_TRAINING_ROWS, Row
from registry.errors import InvalidData, TrainingFailed
from registry.inspection.findings import name_lines
from registry.planning.rules import heldout_rows
from registry.records import Record
from trainer.protocol import Notice


class Division(Record, frozen=True, kw_only=True):
    """Which rows are trained on, and which are held out."""

    training: list[Row]
    """The rows to train on."""
    heldout: list[Row]
    """The rows never trained on; empty when there are none."""
    excluded: bool
    """Whether `training` lacks rows of the training file."""
    notices: list[Notice]
    """What the user should know."""


def read_training_rows(read: Iterable[Row]) -> list[Row]:
    """Return the rows of a training file, which are read only now.

    Raises:
        TrainingFailed: With code `invalid_training_file`: lines are at fault, or too few.
    """
    rows = _read(read, "training")
    if len(rows) < MIN_TRAINING_ROWS:
        raise TrainingFailed(
            "invalid_training_file",
            f"The training file has {len(rows)} rows and must have at least {MIN_TRAINING_ROWS}. "
            "Add examples, and create the job again.",
            "training_file",
        )
    return rows


def read_validation_rows(read: Iterable[Row]) -> list[Row]:
    """Return the rows of a validation file, likewise.

    Raises:
        TrainingFailed: With code `invalid_validation_file`: lines are at fault, or there are none.
    """
    rows = _read(read, "validation")
    if not rows:
        raise TrainingFailed(
            "invalid_validation_file",
            "The validation file has no rows. Add some, or leave the file out.",
            "validation_file",
        )
    return rows


def require_method(rows: Sequence[Row], method: str, kind: str) -> None:
    """Refuse rows of the wrong shape for a method.

    Args:
        rows: The rows of a file.
        method: `supervised` or `dpo`.
        kind: `training` or `validation`.

    Raises:
        TrainingFailed: With code `invalid_training_file` or `invalid_validation_file`.
    """
    is_dpo = method == "dpo"
    odd = [row.line for row in rows if (row.rejected is not None) != is_dpo]
    if not odd:
        return
    code = f"invalid_{kind}_file"
    has, wants, other = (
        (
            "no pair of outputs",
            "rows with 'input', 'preferred_output' and 'non_preferred_output'",
            "supervised",
        )
        if is_dpo
        else ("two outputs", "rows with 'messages' or 'prompt' and 'completion'", "dpo")
    )
    raise TrainingFailed(
        code,
        f"The {kind} file cannot be used: {name_lines(odd)} has {has}. The method '{method}' "
        f"learns from {wants}. Change the file, or use the method '{other}'.",
        f"{kind}_file",
    )


def divide(training: list[Row], validation: list[Row] | None) -> Division:
    """Return what to train on and what to hold out.

    With validation rows, training rows that occur among them are excluded, so that a held-out
    row is held out. Without, about a tenth is split off by the hash of everything before the last
    answer: the same file is always split alike, and no prompt stands on both sides.

    Raises:
        TrainingFailed: With code `invalid_training_file`: too few rows remain.
    """
    notices = list(_duplicate_notices(training))
    if validation is None:
        return _split(training, notices)
    held = {row.digest for row in validation}
    leaked = [row.line for row in training if row.digest in held]
    kept = [row for row in training if row.digest not in held]
    if leaked:
        message = (
            f"{len(leaked)} training rows also occur in the validation file and are not trained "
            f"on: {name_lines(leaked)} of the training file."
        )
        notices.append(Notice(level="warn", message=message))
    if len(kept) < MIN_TRAINING_ROWS:
        raise TrainingFailed(
            "invalid_training_file",
            f"Only {len(kept)} training rows remain once those that also occur in the validation "
            f"file are left out; at least {MIN_TRAINING_ROWS} are needed.",
            "training_file",
        )
    return Division(training=kept, heldout=validation, excluded=bool(leaked), notices=notices)


def _read(rows: Iterable[Row], kind: str) -> list[Row]:
    try:
        return list(rows)
    except InvalidData as exc:
        code = f"invalid_{kind}_file"
        message = f"The {kind} file cannot be used. {exc}"
        raise TrainingFailed(code, message, f"{kind}_file") from exc


def _duplicate_notices(rows: list[Row]) -> Iterable[Notice]:
    seen: set[str] = set()
    repeated: list[int] = []
    for row in rows:
        if row.digest in seen:
            repeated.append(row.line)
        seen.add(row.digest)
    if repeated:
        message = (
            f"{len(repeated)} rows repeat an earlier row and count twice: {name_lines(repeated)}."
        )
        yield Notice(level="warn", message=message)


def _split(rows: list[Row], notices: list[Notice]) -> Division:
    wanted = heldout_rows(len(rows))
    chosen: set[str] = set()
    count = 0
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.prompt_digest] = sizes.get(row.prompt_digest, 0) + 1
    for digest in sorted(sizes):
        if count >= wanted:
            break
        if count + sizes[digest] <= len(rows) // 2:
            chosen.add(digest)
            count += sizes[digest]
    heldout = [row for row in rows if row.prompt_digest in chosen]
    kept = [row for row in rows if row.prompt_digest not in chosen]
    message = (
        f"No validation file was given: {len(heldout)} of {len(rows)} rows are held out, chosen by "
        "the hash of their prompt, and are not trained on."
    )
    level = "info"
    if not heldout:
        message = (
            "No validation file was given and no rows can be held out, because nearly all have the "
            "same prompt: the adapter will not be evaluated."
        )
        level = "warn"
    notices.append(Notice(level=level, message=message))
    return Division(training=kept, heldout=heldout, excluded=bool(heldout), notices=notices)
