"""A report on a data file, as it is stored and sent.

It refuses to know how it was found, and holds no row's text but answers from a small set.
"""

from typing import Any, Literal

import msgspec

from registry.records import Record

VERSION = 1
"""Changes whenever a report would say something else about the same rows."""
MAX_LINES = 1_000
"""Most lines that one part of a report names; the count goes on."""


class Lines(Record, frozen=True, kw_only=True):
    """Rows by their lines."""

    count: int
    """How many rows."""
    lines: list[int]
    """Their lines, at most `MAX_LINES`."""


class Note(Record, frozen=True, kw_only=True):
    """A row and what was seen in it."""

    line: int
    """Its line."""
    what: str
    """In a few words; never a secret's own."""


class Notes(Record, frozen=True, kw_only=True):
    """Rows and what was seen in them."""

    count: int
    """How many rows."""
    rows: list[Note]
    """At most `MAX_LINES` of them."""


class Pair(Record, frozen=True, kw_only=True):
    """A row and another that is like it."""

    line: int
    """The later row's line, or the training row's."""
    like: int
    """The earlier row's line, or the validation row's."""
    similarity: float
    """Estimated share of five-letter pieces that both have, of those that either has; 1 for the
    same words."""


class Pairs(Record, frozen=True, kw_only=True):
    """Rows that are like others."""

    count: int
    """How many rows."""
    pairs: list[Pair]
    """At most `MAX_LINES` of them, each with the other it is likest."""


class Bin(Record, frozen=True, kw_only=True):
    """One bar of a histogram."""

    start: int
    """Lowest value in it."""
    end: int
    """Lowest value above it."""
    rows: int
    """Rows in it."""


class Tokens(Record, frozen=True, kw_only=True):
    """Tokens by row, chat template included."""

    total: int
    """In all rows, before any is cut."""
    mean: float
    """By row."""
    percentiles: dict[str, int]
    """`p0`, `p10`, `p25`, `p50`, `p75`, `p90`, `p95`, `p99`, `p100`."""
    histogram: list[Bin]
    """Rows by their tokens."""
    max_length: int
    """Longest row that is trained on whole, in tokens."""
    truncated: Lines
    """Rows that are longer and lose their end."""
    dropped: Lines
    """Rows whose every answer lies beyond that, so that nothing is left to learn."""
    refused: Notes
    """Rows that the chat template does not take."""
    template_sha256: str | None
    """Hash of the chat template; none where the tokenizer has none."""


class Conflict(Record, frozen=True, kw_only=True):
    """Rows with one prompt and several answers."""

    lines: list[int]
    """Their lines, the first one included, at most `MAX_LINES`."""
    answers: int
    """How many different answers."""


class Contradictions(Record, frozen=True, kw_only=True):
    """Rows that ask the same and answer differently."""

    count: int
    """Rows that answer otherwise than an earlier one."""
    lines: list[int]
    """Their lines."""
    groups: list[Conflict]
    """By prompt."""


class Label(Record, frozen=True, kw_only=True):
    """One of few answers."""

    answer: str
    """Its text."""
    rows: int
    """Rows that have it."""
    lines: list[int]
    """Their first lines; empty for answers that are common."""


class Labels(Record, frozen=True, kw_only=True):
    """The answers, where they form a small set."""

    answers: list[Label]
    """From the commonest to the rarest."""
    balance: float
    """Entropy of the answers over that of a uniform set: 1 is balanced, 0 is one answer only."""
    rare: Lines
    """Rows whose answer hardly any other row has: perhaps misspelt."""


class KeySet(Record, frozen=True, kw_only=True):
    """Answers that are objects with the same fields."""

    keys: list[str]
    """Names of the fields."""
    rows: int
    """Rows that have them."""


class AnswerFormat(Record, frozen=True, kw_only=True):
    """Whether answers are JSON, and whether they agree on its form."""

    json_share: float
    """Share of the answers that are a JSON object or list."""
    key_sets: list[KeySet]
    """The commonest sets of fields, at most 20."""
    odd: Notes
    """Where most answers are JSON: those that are not, or have other fields."""


class Language(Record, frozen=True, kw_only=True):
    """A language, and rows in it."""

    language: str
    """Its two-letter code; `und` where no guess is good enough."""
    rows: int
    """Rows of the sample in it."""


class Languages(Record, frozen=True, kw_only=True):
    """Languages of a sample of the rows."""

    looked_at: int
    """Rows with enough letters that were looked at."""
    languages: list[Language]
    """From the commonest to the rarest."""
    minority: Notes
    """Rows of the sample in a language that few have."""


class Exposed(Record, frozen=True, kw_only=True):
    """What looks like a secret, or like a person's data."""

    pattern: str
    """Its kind."""
    count: int
    """Rows that hold it."""
    lines: list[int]
    """Their lines."""


class Leakage(Record, frozen=True, kw_only=True):
    """Training rows that the validation rows know already. Lines: training first."""

    validation_rows: int
    """Rows looked at on the validation side."""
    exact: Pairs
    """The same row, by its words, stands on both sides."""
    same_prompt: Pairs
    """The same prompt with another answer stands on both sides."""
    near: Pairs
    """Nearly the same prompt stands on both sides."""


class Steps(Record, frozen=True, kw_only=True):
    """What a job on these rows would do, with everything `auto`."""

    n_epochs: int
    """Passes over the rows."""
    batch_size: int
    """Rows in one optimiser step."""
    steps: int
    """Optimiser steps."""


class Finding(Record, frozen=True, kw_only=True):
    """One sentence about the file."""

    kind: str
    """A stable word, such as `near_duplicates`."""
    level: Literal["info", "warn"]
    """`warn` where something should be done."""
    count: int
    """Rows it is about."""
    message: str
    """What was found, the first lines, and what to do."""
    lines: list[int]
    """The rows' lines, at most `MAX_LINES`."""


class Report(Record, frozen=True, kw_only=True):
    """Everything that was found in a data file."""

    object: Literal["file.report"] = "file.report"
    """Always `file.report`."""
    version: int = VERSION
    """Of the report's form and rules."""
    file: str = ""
    """Id of the file, or its name on the command line."""
    validation_file: str | None = None
    """The same of the validation file."""
    format: str = ""
    """What the file was read as."""
    rows: int
    """Rows of data."""
    looked_at: int
    """Rows that were looked at: the first ones, where there are too many."""
    compared: int
    """Rows whose likeness was compared: the first ones, where there are too many."""
    boilerplate: float
    """Share of the texts' pieces that a tenth of the rows or more have in common; they do not count
    for likeness."""
    tokens: Tokens | None
    """Tokens by row; none when they could not be counted."""
    tokens_absent: str | None = None
    """Why there are none."""
    duplicates: Pairs
    """Rows that repeat an earlier one exactly."""
    near_duplicates: Pairs
    """Rows that nearly repeat an earlier one."""
    contradictions: Contradictions
    """The same prompt with different answers."""
    labels: Labels | None
    """The answers, where they form a small set."""
    answers: AnswerFormat
    """Whether answers agree on a format."""
    missing_ends: Notes
    """Answers that seem cut off."""
    unusual: Notes
    """Rows unlike the others."""
    languages: Languages
    """Language mix of a sample."""
    secrets: list[Exposed]
    """What looks like a key or a password; never its value."""
    personal_data: list[Exposed]
    """What looks like a person's data; never its value."""
    leakage: Leakage | None
    """What training and validation rows share; none without validation rows."""
    estimated_steps: Steps | None = None
    """What a job would do; none with too few rows for one."""
    findings: list[Finding] = msgspec.field(default_factory=list)
    """The sentences, what matters most first."""


class Span(Record, frozen=True, kw_only=True):
    """Tokens in a row that are alike."""

    text: str
    """Their text."""
    tokens: int
    """How many they are."""
    carries_loss: bool
    """Whether they are learnt."""
    muted: bool = False
    """Whether they are an answer that `weight` 0 keeps from being learnt."""


class TokenView(Record, frozen=True, kw_only=True):
    """One token of a row."""

    id: int
    """Its number in the vocabulary."""
    text: str
    """Its text."""
    carries_loss: bool
    """Whether it is learnt."""
    is_cut: bool = False
    """Whether it lies beyond the longest length and is left out."""


class RowView(Record, frozen=True, kw_only=True):
    """One row as it is trained on."""

    object: Literal["file.row"] = "file.row"
    """Always `file.row`."""
    file: str = ""
    """Id of the file."""
    line: int
    """Its line."""
    row: dict[str, Any]
    """The row in our own shape, converted where the file has another."""
    text: str
    """As the model reads it, chat template included."""
    tokens: list[TokenView]
    """Every token, in order."""
    spans: list[Span]
    """Neighbouring tokens that are alike, in order."""
    loss_tokens: int
    """Tokens that are learnt, once the row is cut."""
    muted_messages: list[int]
    """Messages, from 0, that `weight` 0 keeps from being learnt."""
    max_length: int
    """Longest row, in tokens."""
    is_truncated: bool
    """Whether the row is longer and loses its end."""
    template_sha256: str | None
    """Hash of the chat template; none where the tokenizer has none."""
