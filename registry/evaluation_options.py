"""What an evaluation asks beyond the held-out rows, and of whom: the request's choices, checked.

It refuses to know the rows, and which of the models named exist.
"""

from enum import StrEnum
from typing import Any

import msgspec

from registry.errors import Invalid
from registry.policy import Policy
from registry.records.record import Record

LOSS = "loss"
"""The metric that asks for more than an answer."""
MAX_MODELS = 4
"""Most further models in one evaluation."""
MAX_SUITE_FILES = 8
"""Most suites of the user's own that one request names."""
MAX_INSTRUCTION = 8_000
"""Longest instruction, in characters."""
MAX_TRAINING_ROWS = 500
"""Most training rows that are asked for the gap."""
MAX_NAME = 255
"""Longest name of a judge's model, in characters."""
MAX_LABELS = 1_000
"""Most rows that people judged."""
MAX_RUBRIC = 8_000
"""Longest rubric, in characters."""


class PromptArm(StrEnum):
    """Ways of prompting the base model with training rows."""

    FEW_SHOT = "few_shot"
    """The same examples before every prompt."""
    NEAREST = "few_shot_nearest"
    """Before each prompt the examples most similar to it."""


class BuiltInSuite(StrEnum):
    """Suites that come with Graftline, beside the held-out rows."""

    TRAINING = "training"
    """Rows the adapter was trained on, for the gap to the held-out ones."""
    BEHAVIOUR = "behaviour"
    """Short tasks that have nothing to do with any fine-tuning."""


class Preferred(StrEnum):
    """Whose answer is better."""

    ADAPTER = "adapter"
    BASELINE = "baseline"
    TIE = "tie"


class JudgeLabel(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One person's verdict on one row."""

    row: int
    """Row number in the held-out file, from 0."""
    preferred: Preferred
    """Whose answer is better."""


class JudgeOptions(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that compares two answers, in both orders."""

    rubric: str
    """What makes an answer the better one, in words for the judge."""
    model: str | None = None
    """The judge's model at `GRAFTLINE_JUDGE_URL`; by default `GRAFTLINE_JUDGE_MODEL`."""
    max_rows: int = 100
    """Most held-out rows that are judged, 1 to 1,000; the first ones of the seeded order."""
    baseline: str = "base"
    """The arm that the adapter is judged against."""
    labels: list[JudgeLabel] = msgspec.field(default_factory=list)
    """People's verdicts on some of the rows, which correct the judge's bias."""


class EvaluationOptions(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one evaluation asks, and of whom; every field has a good default."""

    arms: list[PromptArm] = msgspec.field(default_factory=lambda: [PromptArm.FEW_SHOT])
    """Prompts with training rows that the base model is asked with; base and adapter with the bare
    prompt are always asked."""
    choose_examples: bool = False
    """Whether the number of examples is chosen on a slice of the training rows, instead of taken
    from the policy."""
    instruction: str | None = None
    """An instruction; with it the base model is asked once more."""
    production: str | None = None
    """The version now in production, resolved when the evaluation was created."""
    models: list[str] = msgspec.field(default_factory=list)
    """Further versions or checkpoints."""
    suites: list[BuiltInSuite] = msgspec.field(default_factory=lambda: list(BuiltInSuite))
    """Which of our own suites are asked too."""
    suite_files: list[str] = msgspec.field(default_factory=list)
    """Ids of files with suites of the user's own."""
    max_training_rows: int = 50
    """Most rows of the `training` suite; never more than held-out rows are asked."""
    measure_loss: bool = True
    """Whether each model is also asked how likely it holds the right answers: a request more for
    each answer."""
    judge: JudgeOptions | None = None
    """The judge; none by default."""
    use_cache: bool = True
    """Whether kept answers of the base model may be taken, and new ones are kept."""
    decides: bool = True
    """Whether the verdict counts: for promotion, and among the exported figures."""


def read_options(requested: dict[str, Any]) -> EvaluationOptions:
    """Return a request's options with defaults for what it does not choose.

    Raises:
        Invalid: A field is unknown, of the wrong type or out of range; it is named.
    """
    try:
        options = msgspec.convert(requested, EvaluationOptions)
    except msgspec.ValidationError as exc:
        field = _field_of(str(exc))
        raise Invalid(f"The evaluation cannot be set up: {exc}.", field) from exc
    _check_list("arms", options.arms, len(PromptArm))
    _check_list("models", options.models, MAX_MODELS)
    _check_list("suites", options.suites, len(BuiltInSuite))
    _check_list("suite_files", options.suite_files, MAX_SUITE_FILES)
    if options.instruction is not None:
        _check_text("instruction", options.instruction, MAX_INSTRUCTION)
    if not 1 <= options.max_training_rows <= MAX_TRAINING_ROWS:
        message = f"'max_training_rows' must lie between 1 and {MAX_TRAINING_ROWS}."
        raise Invalid(message, "max_training_rows")
    if options.judge is not None:
        _check_judge(options.judge)
    return options


def check_measured(options: EvaluationOptions, policy: Policy) -> None:
    """Check that an evaluation measures what its policy decides by.

    Raises:
        Invalid: The policy needs the losses, which the options leave out.
    """
    if options.measure_loss:
        return
    is_limited = policy.max_behaviour_divergence is not None
    needs = {
        "primary_metric": policy.primary_metric == LOSS,
        "guardrails": LOSS in policy.guardrails,
        "max_behaviour_divergence": is_limited and BuiltInSuite.BEHAVIOUR in options.suites,
    }
    for field, is_needed in needs.items():
        if is_needed:
            message = f"The policy's '{field}' needs the losses; leave 'measure_loss' out."
            raise Invalid(message, "measure_loss")


def _check_list(name: str, values: list[Any], most: int) -> None:
    if len(values) > most:
        raise Invalid(f"'{name}' has {len(values)} entries; at most {most} are taken.", name)
    if len(set(values)) < len(values):
        raise Invalid(f"'{name}' names one thing twice; name each once.", name)
    if not all(str(value).strip() for value in values):
        raise Invalid(f"'{name}' has an empty entry; take it out.", name)


def _check_text(name: str, text: str, most: int) -> None:
    if not text.strip() or len(text) > most:
        raise Invalid(f"'{name}' must have between 1 and {most:,} characters.", name)


def _check_judge(judge: JudgeOptions) -> None:
    _check_text("judge.rubric", judge.rubric, MAX_RUBRIC)
    if judge.model is not None:
        _check_text("judge.model", judge.model, MAX_NAME)
    if not 1 <= judge.max_rows <= 1_000:
        raise Invalid("'judge.max_rows' must lie between 1 and 1,000.", "judge.max_rows")
    rows = [label.row for label in judge.labels]
    if len(rows) > MAX_LABELS or len(set(rows)) < len(rows) or min(rows, default=0) < 0:
        message = f"'judge.labels' has at most {MAX_LABELS} entries, one a row, numbered from 0."
        raise Invalid(message, "judge.labels")


def _field_of(message: str) -> str | None:
    """Return the field that msgspec's message names, such as `$.models[0]` → `models`."""
    _, _, path = message.partition("`$.")
    name = path.partition("`")[0].partition("[")[0]
    return name or None
