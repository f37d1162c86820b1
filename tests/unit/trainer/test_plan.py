"""Hyperparameters: what `auto` means, and what is refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.errors import Invalid
from registry.planning.rates import (
    MAX_FULL_RATE,
    MAX_LORA_RATE,
    ModelShape,
    base_learning_rate,
)
from registry.planning.rules import auto_batch_size, auto_epochs
from registry.training_options import Technique, TrainingOptions
from trainer.plan import (
    Hyperparameters,
    manifest_hyperparameters,
    resolve,
)

TINY = ModelShape(hidden_size=192, model_type="llama")
LARGE = ModelShape(hidden_size=4096, model_type="llama")


def resolved(requested: dict[str, Any], *, rows: int = 900) -> Hyperparameters:
    """Return the hyperparameters of a run on the tiny model."""
    return resolve(requested, rows=rows, model=TINY, max_lora_rank=32)


def test_auto_for_the_example_data() -> None:
    """Nine hundred rows on a tiny model get about five epochs of small batches at about 3e-3."""
    chosen = resolved({"n_epochs": "auto", "batch_size": "auto"})
    assert 4 <= chosen.n_epochs <= 6
    assert 8 <= chosen.batch_size <= 16
    assert chosen.learning_rate == pytest.approx(3e-3, rel=0.05)
    assert (chosen.lora_rank, chosen.lora_alpha) == (16, 32)


def test_learning_rate_follows_the_published_rule() -> None:
    """A Llama of width 4,096 gets 5e-4 · (2000/4096)^0.781."""
    assert base_learning_rate(LARGE) == pytest.approx(2.856e-4, rel=1e-3)


def test_learning_rate_is_capped_for_narrow_models() -> None:
    """The rule is not followed beyond the widths it was fitted on."""
    narrow = ModelShape(hidden_size=16, model_type="llama")
    assert base_learning_rate(narrow) == MAX_LORA_RATE


def test_full_fine_tuning_follows_the_number_of_weights() -> None:
    """A model with four times the weights of Llama 3.1 8B gets half of its 3e-5."""
    options = TrainingOptions(technique=Technique.FULL)
    whole = ModelShape(hidden_size=8192, model_type="llama", parameters=4 * 8_030_000_000)
    assert base_learning_rate(whole, options=options) == pytest.approx(1.5e-5)


def test_full_fine_tuning_is_capped_for_small_models() -> None:
    """No model gets more than the highest rate that was published."""
    options = TrainingOptions(technique=Technique.FULL)
    small = ModelShape(hidden_size=192, model_type="llama", parameters=2_000_000)
    assert base_learning_rate(small, options=options) == MAX_FULL_RATE


def test_full_fine_tuning_of_an_unknown_size_takes_a_tenth() -> None:
    """Where the number of weights is unknown, it is a tenth of LoRA's rate."""
    found = base_learning_rate(LARGE, options=TrainingOptions(technique=Technique.FULL))
    assert found == pytest.approx(base_learning_rate(LARGE) / 10)


@pytest.mark.parametrize("technique", Technique)
@pytest.mark.parametrize("model", [TINY, LARGE])
def test_every_techniques_rate_could_be_asked_for(technique: Technique, model: ModelShape) -> None:
    """What `auto` means is a learning rate that a request may name."""
    assert 0 < base_learning_rate(model, options=TrainingOptions(technique=technique)) <= 1


def test_multiplier_scales_the_rule() -> None:
    """A multiplier of 0.5 halves the learning rate."""
    whole, half = resolved({}), resolved({"learning_rate_multiplier": 0.5})
    assert half.learning_rate == pytest.approx(whole.learning_rate / 2)


def test_absolute_learning_rate_wins() -> None:
    """An absolute learning rate is taken as it is."""
    requested = {"learning_rate": 1e-4, "learning_rate_multiplier": 3}
    assert resolved(requested).learning_rate == 1e-4


def test_resolving_twice_changes_nothing() -> None:
    """What a job shows resolves to itself, so that a repeated step plans the same run."""
    first = resolved({"n_epochs": 3, "learning_rate_multiplier": 2})
    assert resolved(first.public()) == first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_epochs", 0),
        ("n_epochs", 51),
        ("n_epochs", 1.5),
        ("n_epochs", True),
        ("batch_size", 257),
        ("batch_size", "many"),
        ("learning_rate_multiplier", 0),
        ("learning_rate_multiplier", -1),
        ("learning_rate_multiplier", float("nan")),
        ("lora_rank", 64),
        ("warmup", 3),
    ],
)
def test_what_is_out_of_range_is_named(name: str, value: object) -> None:
    """A field that is unknown or out of range is named in the error."""
    with pytest.raises(Invalid) as caught:
        resolved({name: value})
    assert caught.value.param == f"hyperparameters.{name}"
    assert name in str(caught.value)


@given(st.integers(min_value=1, max_value=10_000_000))
def test_auto_is_always_in_range(rows: int) -> None:
    """Whatever the number of rows, `auto` chooses what a user could have asked for."""
    assert 1 <= auto_epochs(rows) <= 50
    size = auto_batch_size(rows)
    assert 1 <= size <= 256
    assert size & (size - 1) == 0


def test_manifest_holds_everything() -> None:
    """The manifest records each hyperparameter and the longest row."""
    recorded = manifest_hyperparameters(resolved({}), 2048)
    assert recorded["max_length"] == 2048
    assert set(Hyperparameters.__struct_fields__) < set(recorded)
