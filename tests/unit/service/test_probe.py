"""Whether the engine applies an adapter."""

import pytest

from registry.artifacts import ProbeRow
from registry.errors import CorruptArtifact
from service.probe import ProbeFigures, fault_of, measure

ROW = ProbeRow(
    token_ids=[1, 2, 3, 4],
    target_start=2,
    base_logprobs=[-1.0, -2.0],
    adapter_logprobs=[-0.5, -0.5],
)


class Scripted:
    """An engine that answers from a table."""

    def __init__(self, answers: dict[str, list[float]]) -> None:
        self._answers = answers

    async def prompt_logprobs(self, model: str, token_ids: list[int]) -> list[float]:
        """Return the table's line for the model."""
        assert len(self._answers[model]) == len(token_ids) - 1
        return self._answers[model]

    async def base_logprobs(self, base: str, token_ids: list[int]) -> list[float]:
        """Return the table's line for the base model."""
        return await self.prompt_logprobs(base, token_ids)


def judge(**changes: float) -> str | None:
    """Return the fault of figures that are sound but for the changes."""
    sound = {"tokens": 10, "effect_nats": 0.5, "difference_nats": 0.01, "base_difference_nats": 0.0}
    values = sound | changes
    figures = ProbeFigures(
        tokens=int(values["tokens"]),
        effect_nats=values["effect_nats"],
        difference_nats=values["difference_nats"],
        base_difference_nats=values["base_difference_nats"],
    )
    return fault_of(figures, min_effect_nats=0.001, tolerance_nats=0.15)


async def test_only_target_tokens_are_compared() -> None:
    """Means over the targets: effect in the engine, difference from the trainer."""
    engine = Scripted({"base": [-9.0, -1.0, -2.2], "adapter": [-7.0, -0.5, -0.7]})
    figures = await measure(engine, base="base", adapter="adapter", rows=[ROW])
    assert figures.tokens == 2
    assert figures.effect_nats == pytest.approx((0.5 + 1.5) / 2)
    assert figures.difference_nats == pytest.approx((0.0 + 0.2) / 2)
    assert figures.base_difference_nats == pytest.approx((0.0 + 0.2) / 2)


async def test_no_rows_measure_nothing() -> None:
    """Zero tokens, and a fault that says so."""
    figures = await measure(Scripted({}), base="base", adapter="adapter", rows=[])
    fault = fault_of(figures, min_effect_nats=0, tolerance_nats=1)
    assert fault is not None
    assert "no probe rows" in fault


@pytest.mark.parametrize(
    "row",
    [
        ProbeRow(token_ids=[1, 2], target_start=0, base_logprobs=[0, 0], adapter_logprobs=[0, 0]),
        ProbeRow(token_ids=[1, 2], target_start=1, base_logprobs=[0, 0], adapter_logprobs=[0]),
        ProbeRow(token_ids=[1, 2], target_start=1, base_logprobs=[0], adapter_logprobs=[0, 0]),
        ProbeRow(token_ids=[1, 2], target_start=2, base_logprobs=[], adapter_logprobs=[]),
    ],
)
async def test_a_row_without_a_figure_for_each_target_is_corrupt(row: ProbeRow) -> None:
    """A manifest that cannot be compared is no evidence."""
    with pytest.raises(CorruptArtifact):
        await measure(Scripted({}), base="base", adapter="adapter", rows=[row])


async def test_a_row_without_a_trainers_figures_shows_the_effect_alone() -> None:
    """As in an import: the difference is unknown, not zero, and rejects nothing."""
    row = ProbeRow(token_ids=[1, 2, 3, 4], target_start=2, base_logprobs=[], adapter_logprobs=[])
    engine = Scripted({"base": [-9.0, -1.0, -2.0], "adapter": [-7.0, -0.5, -0.5]})
    figures = await measure(engine, base="base", adapter="adapter", rows=[row])
    assert figures.effect_nats == pytest.approx(1.0)
    assert (figures.difference_nats, figures.base_difference_nats) == (None, None)
    assert fault_of(figures, min_effect_nats=0.001, tolerance_nats=0.15) is None


def test_sound_figures_have_no_fault() -> None:
    """An adapter that works is accepted."""
    assert judge() is None


def test_an_adapter_that_changes_nothing_is_at_fault() -> None:
    """Accepted and silently not applied."""
    fault = judge(effect_nats=0.0)
    assert fault is not None
    assert "changes nothing" in fault


def test_an_adapter_that_the_engine_computes_otherwise_is_at_fault() -> None:
    """Beyond the tolerance, with the base model's own difference beside it."""
    fault = judge(difference_nats=0.3, base_difference_nats=0.02)
    assert fault is not None
    assert "0.300" in fault
    assert "0.020" in fault


@pytest.mark.parametrize("figure", ["effect_nats", "difference_nats"])
def test_figures_that_are_no_numbers_are_at_fault(figure: str) -> None:
    """NaN passes no comparison, so it is asked for by name."""
    fault = judge(**{figure: float("nan")})
    assert fault is not None
    assert "finite" in fault
