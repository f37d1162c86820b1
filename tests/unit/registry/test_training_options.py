"""A request's training options are read whole, or refused with the field's name."""

from typing import Any

import pytest

from registry.errors import Invalid
from registry.training_options import (
    Technique,
    TrainingOptions,
    check_continuation,
    read_options,
)


def test_nothing_chosen_is_the_default() -> None:
    """An empty request means plain LoRA on every linear layer."""
    assert read_options({}) == TrainingOptions()


def test_choices_are_kept() -> None:
    """What a request chooses stands beside the defaults."""
    options = read_options({"technique": "dora", "rank_pattern": {"q_proj": 4}})
    assert (options.technique, options.rank_pattern) == (Technique.DORA, {"q_proj": 4})


@pytest.mark.parametrize(
    ("requested", "param"),
    [
        ({"technique": "magic"}, "training"),
        ({"learning": 1}, "training"),
        ({"lora_dropout": 1.0}, "training.lora_dropout"),
        ({"lora_plus_ratio": 0.5}, "training.lora_plus_ratio"),
        ({"max_length": 4}, "training.max_length"),
        ({"target_modules": []}, "training.target_modules"),
        ({"target_modules": [""]}, "training.target_modules"),
        ({"rank_pattern": {"q_proj": 0}}, "training.rank_pattern"),
        ({"rank_pattern": {"(a+)+": 2}}, "training.rank_pattern"),
        ({"technique": "full", "lora_dropout": 0.1}, "training.lora_dropout"),
        ({"technique": "loha", "rank_pattern": {"q_proj": 2}}, "training.rank_pattern"),
        ({"technique": "dora", "lora_start": "pissa"}, "training.lora_start"),
        ({"technique": "full", "target_modules": ["q_proj"]}, "training.target_modules"),
        ({"train_embeddings": True}, "training.train_embeddings"),
    ],
)
def test_a_faulty_choice_is_named(requested: dict[str, Any], param: str) -> None:
    """A field that is unknown, mistyped or out of range is refused by name."""
    with pytest.raises(Invalid) as caught:
        read_options(requested)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("requested", "param"),
    [
        ({"technique": "dora"}, "training.technique"),
        ({"rank_stabilized": True}, "training.rank_stabilized"),
        ({"target_modules": ["q_proj"]}, "training.target_modules"),
    ],
)
def test_a_continuation_keeps_the_shape(requested: dict[str, Any], param: str) -> None:
    """What an earlier version is made of cannot be chosen anew."""
    with pytest.raises(Invalid) as caught:
        check_continuation(read_options(requested))
    assert caught.value.param == param


def test_a_continuation_may_choose_the_rest() -> None:
    """Dropout, learning rates and 4 bits are free."""
    check_continuation(read_options({"technique": "qlora", "lora_dropout": 0.1}))
