"""Whether the engine really applies an adapter, and applies what the trainer made.

It refuses to know how the answer is acted on. vLLM can accept an adapter and silently apply
nothing (its issues 34186, 48019, 34591); only log-probabilities tell.
"""

from collections.abc import Sequence
from math import isfinite
from statistics import fmean
from typing import Protocol

from registry.artifacts import ProbeRow
from registry.errors import CorruptArtifact
from registry.records import Record


class ProbeFigures(Record, frozen=True, kw_only=True):
    """What the probe measured, over all target tokens of all rows."""

    tokens: int
    """Target tokens compared."""
    effect_nats: float
    """Mean |adapter - base| of the log-probability a token, both in the engine."""
    difference_nats: float | None
    """Mean |engine - trainer| of the log-probability a token, with the adapter; none when no
    trainer's figures came with the adapter."""
    base_difference_nats: float | None
    """Mean |engine - trainer| of the log-probability a token, base model alone; none likewise."""


class LogprobSource(Protocol):
    """Something that computes log-probabilities: the engine, or a fake."""

    async def prompt_logprobs(self, model: str, token_ids: list[int]) -> list[float]:
        """Return the log-probability of every token after the first."""
        ...

    async def base_logprobs(self, base: str, token_ids: list[int]) -> list[float]:
        """Return the same with the base model, perhaps from memory."""
        ...


async def measure(
    engine: LogprobSource, *, base: str, adapter: str, rows: Sequence[ProbeRow]
) -> ProbeFigures:
    """Replay the trainer's rows on the engine, with the base model and with the adapter.

    An import's rows have no trainer's figures: they show the effect alone.

    Raises:
        Unavailable: The engine does not answer.
        EngineError: It refused a row.
        CorruptArtifact: A row holds log-probabilities, but not one for each target token.
    """
    effect: list[float] = []
    difference: list[float] = []
    base_difference: list[float] = []
    for row in rows:
        _check(adapter, row)
        first = row.target_start - 1
        with_base = (await engine.base_logprobs(base, row.token_ids))[first:]
        with_adapter = (await engine.prompt_logprobs(adapter, row.token_ids))[first:]
        effect += _distances(with_adapter, with_base)
        if row.adapter_logprobs:
            difference += _distances(with_adapter, row.adapter_logprobs)
        if row.base_logprobs:
            base_difference += _distances(with_base, row.base_logprobs)
    return ProbeFigures(
        tokens=len(effect),
        effect_nats=fmean(effect) if effect else 0.0,
        difference_nats=fmean(difference) if difference else None,
        base_difference_nats=fmean(base_difference) if base_difference else None,
    )


def fault_of(figures: ProbeFigures, *, min_effect_nats: float, tolerance_nats: float) -> str | None:
    """Return why the figures reject an adapter; none when they do not."""
    return effect_fault_of(figures, min_effect_nats=min_effect_nats) or _difference_fault(
        figures, tolerance_nats
    )


def effect_fault_of(figures: ProbeFigures, *, min_effect_nats: float) -> str | None:
    """Return why the figures do not show that the engine applies the adapter; none if they do."""
    if not figures.tokens:
        return "The manifest holds no probe rows, so nothing shows that the engine applies it."
    if not isfinite(figures.effect_nats):
        return "The engine's log-probabilities with the adapter are not finite numbers."
    if figures.effect_nats < min_effect_nats:
        return (
            f"The engine loaded the adapter but it changes nothing: {figures.effect_nats:.6f} nats "
            f"a token over {figures.tokens} tokens, at least {min_effect_nats} is expected."
        )
    return None


def _difference_fault(figures: ProbeFigures, tolerance_nats: float) -> str | None:
    difference, alone = figures.difference_nats, figures.base_difference_nats
    if difference is None:
        return None
    if not isfinite(difference):
        return "The engine's log-probabilities with the adapter are not finite numbers."
    if difference <= tolerance_nats:
        return None
    base = "" if alone is None else f"; the base model alone is {alone:.3f} apart"
    return (
        f"The engine computes something else than the trainer: {difference:.3f} nats a token "
        f"apart over {figures.tokens} tokens, at most {tolerance_nats} is tolerated{base}."
    )


def _check(adapter: str, row: ProbeRow) -> None:
    targets = len(row.token_ids) - row.target_start
    figures = {len(row.base_logprobs), len(row.adapter_logprobs)}
    if row.target_start < 1 or targets < 1 or figures not in ({targets}, {0}):
        raise CorruptArtifact(adapter, "a probe row lacks a log-probability for each target token")


def _distances(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [abs(one - other) for one, other in zip(left, right, strict=True)]
