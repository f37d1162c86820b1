"""What a run is thought to take, before it begins."""

import pytest

from registry.planning.memory import Footprint, Precision, estimate, fit, halved
from registry.planning.rules import heldout_rows, total_steps
from registry.planning.shape import BaseShape, shape_of
from registry.planning.speed import seconds_of, seen_speed, stated_speed

LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 16,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "vocab_size": 128_256,
    "tie_word_embeddings": True,
}
HALF = Precision(weight_bytes=2, compute_bytes=2)
GIB = 2**30


@pytest.fixture
def shape() -> BaseShape:
    """Return the shape of a Llama of 1.2 billion weights."""
    return shape_of(LLAMA_1B)


def test_a_published_models_size_is_found(shape: BaseShape) -> None:
    """Llama 3.2 1B has 1.236 billion weights."""
    assert shape.parameters == pytest.approx(1.236e9, rel=0.001)


def test_an_adapter_is_counted_layer_by_layer(shape: BaseShape) -> None:
    """LoRA of rank 16 on every linear layer of that model has 11.27 million weights."""
    assert shape.adapter_parameters(16) == 11_272_192


def test_experts_count_once_each_and_only_the_active_ones_compute() -> None:
    """A mixture of experts has all its experts' weights, and uses some of them for a token."""
    mixture = shape_of(LLAMA_1B | {"num_local_experts": 8, "num_experts_per_tok": 2})
    dense = shape_of(LLAMA_1B)
    assert mixture.parameters > 5 * dense.parameters
    assert mixture.active_parameters < 2 * dense.active_parameters


def test_a_configuration_of_another_make_is_refused() -> None:
    """A model whose sizes have other names is not guessed at."""
    with pytest.raises(ValueError, match="lacks a size"):
        shape_of({"n_embd": 768})


def test_memory_has_the_parts_of_its_formula(shape: BaseShape) -> None:
    """Two bytes a frozen weight, sixteen a trained one, and activations by token."""
    found = estimate(shape, HALF, Footprint(tokens=1024), rank=16, longest=512, batch_size=16)
    assert found.weights == 2 * shape.parameters
    assert found.trained == 16 * 11_272_192
    token = 16 * (2 * (8 * 2048 + 4 * 8192) + 6 * (6 * 2048 + 8192)) + 12 * 128_256
    assert found.activations == int(1.25 * 1024 * token)


def test_checkpointing_saves_most_activations(shape: BaseShape) -> None:
    """A block that is computed again keeps its input alone."""
    kept, again = (
        estimate(
            shape,
            HALF,
            Footprint(gradient_checkpointing=saves),
            rank=16,
            longest=512,
            batch_size=16,
        )
        for saves in (False, True)
    )
    assert again.activations < kept.activations / 2


def test_training_everything_keeps_no_second_copy(shape: BaseShape) -> None:
    """Full fine-tuning takes sixteen bytes a weight and no frozen ones."""
    whole = Precision(weight_bytes=2, compute_bytes=2, trains_all=True)
    found = estimate(shape, whole, Footprint(), rank=16, longest=512, batch_size=16)
    assert (found.weights, found.trained) == (0, 16 * shape.parameters)


def test_attention_that_is_written_out_keeps_pairs(shape: BaseShape) -> None:
    """Each of 32 heads keeps eight bytes for each pair of positions, in each of 16 layers."""
    pairs = Precision(weight_bytes=2, compute_bytes=2, written_out=True)
    fused, written = (
        estimate(shape, how, Footprint(), rank=16, longest=256, batch_size=16)
        for how in (HALF, pairs)
    )
    extra = 1.25 * 4096 * 16 * 8 * 32 * 256
    assert written.activations - fused.activations == pytest.approx(extra)


def test_no_more_than_a_steps_rows_go_through_at_once(shape: BaseShape) -> None:
    """Small steps of short rows take less than a micro-batch may have."""
    small, large = (
        estimate(shape, HALF, Footprint(), rank=16, longest=64, batch_size=size) for size in (4, 8)
    )
    assert large.activations == pytest.approx(2 * small.activations)


def test_what_fits_is_as_large_as_can_be(shape: BaseShape) -> None:
    """With room nothing is computed again; with less the micro-batch shrinks, then blocks are."""
    wanted = [
        fit(shape, HALF, rank=16, longest=512, batch_size=16, available=n * GIB)
        for n in (80, 10, 5)
    ]
    assert wanted[0] == Footprint()
    assert wanted[1].tokens < wanted[0].tokens
    assert not wanted[1].gradient_checkpointing
    assert wanted[2].gradient_checkpointing


def test_a_request_decides_about_checkpointing(shape: BaseShape) -> None:
    """What the request says stands, whatever would fit."""
    for asked in (True, False):
        found = fit(
            shape, HALF, rank=16, longest=512, batch_size=16, available=GIB, checkpointing=asked
        )
        assert found.gradient_checkpointing is asked


def test_a_footprint_is_halved_down_to_one_row() -> None:
    """Halving ends where rows go through the model one by one."""
    sizes, footprint = [], Footprint()
    while (smaller := halved(footprint, longest=600)) is not None:
        footprint = smaller
        sizes.append(footprint.tokens)
    assert sizes == [2048, 1024, 512]


def test_steps_count_short_batches() -> None:
    """The last step of an epoch may have fewer rows, and is a step."""
    assert total_steps(rows=39, epochs=4, batch_size=8) == 20


def test_a_tenth_is_held_out_within_bounds() -> None:
    """At least five rows and at most five hundred are held out."""
    assert [heldout_rows(rows) for rows in (10, 200, 9_000)] == [5, 20, 500]


def test_a_speed_that_was_seen_is_the_median() -> None:
    """Earlier jobs tell the speed, and the basis says how many; none tell nothing."""
    found = seen_speed([100.0, 900.0, 300.0])
    assert found is not None
    assert found.tokens_per_second == 300
    assert "3 finished jobs" in found.basis
    assert seen_speed([]) is None


def test_a_stated_speed_follows_the_formula(shape: BaseShape) -> None:
    """Four operations a weight for an adapter, six when everything is trained, and attention."""
    attention = 12 * 16 * 2048 * 100
    for trains_all, factor in ((False, 4), (True, 6)):
        found = stated_speed(shape, length=100, flops=1e12, trains_all=trains_all)
        operations = factor * shape.active_parameters + attention
        assert seconds_of(1_000, found) == pytest.approx(15 + 1_000 * operations / 1e12)
        assert found.tokens_per_second == pytest.approx(1e12 / operations)
