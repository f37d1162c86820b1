"""Each technique trains, and what it publishes is plain LoRA that does what was trained."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.torch import load_file

from registry.errors import TrainingFailed
from registry.training_options import Technique
from tests.unit.trainer.bench import MAX_RANK, Run
from trainer.conversion import rank_of
from trainer.language_model import load_adapter, load_base
from trainer.techniques import load_trainable, load_trained

TECHNIQUES: dict[str, dict[str, Any]] = {
    "lora": {},
    "rank_stabilized": {"rank_stabilized": True, "lora_dropout": 0.1},
    "lora_plus": {"lora_plus_ratio": 4.0},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3}},
    "listed": {"target_modules": ["q_proj", "v_proj"]},
    "pissa": {"lora_start": "pissa"},
    **{str(name): {"technique": str(name)} for name in Technique if name is not Technique.LORA},
}
"""Requests, by what they try."""
SLOW = frozenset({"unilora"})
"""Techniques whose few numbers move little in two steps."""
SLOW_RATE = 0.2
PROBE = torch.arange(20, 60)[None]
CLOSE_NATS = 1e-3
"""Differences by rounding in float32."""
PLAIN = frozenset({"alpha_pattern", "rank_pattern", "target_modules", "use_rslora"})


@pytest.fixture(scope="module")
def runs(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Return the runs so far: a technique trains once for every test here."""
    del nano, tmp_path_factory
    return {}


@pytest.fixture
def run(
    request: pytest.FixtureRequest,
    runs: dict[str, Run],
    nano: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Run:
    """Return the run of a technique."""
    name = request.param
    if name not in runs:
        runs[name] = Run(nano, tmp_path_factory.mktemp("runs") / name)
        rank = MAX_RANK if name == "full" else 4
        rate = SLOW_RATE if name in SLOW else 1e-2
        runs[name].prepare(TECHNIQUES[name], lora_rank=rank, n_epochs=1, learning_rate=rate)
        runs[name].train()
    return runs[name]


every = pytest.mark.parametrize("run", TECHNIQUES, indirect=True)


def logprobs(model: Any) -> torch.Tensor:
    """Return what a model makes of the probe's tokens."""
    with torch.no_grad():
        found: torch.Tensor = model.eval()(PROBE).logits.float().log_softmax(-1)
    return found


@every
def test_what_is_published_is_plain_lora(run: Run) -> None:
    """The configuration names nothing that the engine refuses, and the tensors are A and B only."""
    config = msgspec.json.decode((run.published / "adapter_config.json").read_bytes())
    assert config["peft_type"] == "LORA"
    assert (config["bias"], config["init_lora_weights"]) == ("none", True)
    odd = ("use_dora", "lora_bias", "modules_to_save", "layer_replication", "target_parameters")
    assert not any(config.get(name) for name in odd)
    tensors = load_file(run.published / "adapter_model.safetensors")
    assert {name.split(".")[-2] for name in tensors} == {"lora_A", "lora_B"}


@every
def test_ranks_fit_the_engine(run: Run) -> None:
    """No matrix has a rank beyond the engine's limit, and the result names the largest."""
    tensors = load_file(run.published / "adapter_model.safetensors")
    ranks = [len(tensor) for name, tensor in tensors.items() if ".lora_A." in name]
    assert max(ranks) <= rank_of(run.published) <= MAX_RANK
    assert rank_of(run.published) == run.result.versions[-1].rank


@every
def test_what_is_published_does_what_was_trained(run: Run) -> None:
    """The published adapter on the served base gives the trained model's log-probabilities."""
    base = load_base(str(run.base), torch.float32)
    plain = logprobs(base)
    published = logprobs(load_adapter(base, run.published))
    trained = logprobs(load_trained(run.plan, run.place, run.place.final))
    tolerance = CLOSE_NATS if run.plan.options.technique != "qlora" else 0.5
    assert (published - trained).abs().max() < tolerance
    assert (published - plain).abs().max() > 2 * CLOSE_NATS


def test_measuring_in_between_leaves_4_bits_trainable(nano: Path, tmp_path: Path) -> None:
    """Gradients pass through quantised weights after the model was measured, on any processor."""
    run = Run(nano, tmp_path / "run")
    run.prepare({"technique": "qlora"})
    model = load_trainable(run.plan, run.place)
    with torch.no_grad():
        model.eval()(PROBE)
    embedded = model.get_input_embeddings()(PROBE).detach().requires_grad_()
    # At first LoRA's B is zero: the only way back leads through the weights in 4 bits.
    model.train()(inputs_embeds=embedded).logits.square().sum().backward()
    assert embedded.grad is not None
    assert embedded.grad.abs().max() > 0


@pytest.mark.parametrize("run", ["dora", "pissa", "qlora", "full"], indirect=True)
def test_the_cost_of_a_conversion_is_told(run: Run) -> None:
    """Events and metrics say what the validation loss was before and after the conversion."""
    metrics = run.result.versions[-1].metrics
    rise = metrics["published_loss"] - metrics["trained_loss"]
    assert metrics["conversion_loss"] == pytest.approx(rise)
    assert any("as trained" in notice and "as published" in notice for notice in run.notices)


@pytest.mark.parametrize("run", ["dora", "full"], indirect=True)
def test_checkpoints_are_converted_too(run: Run) -> None:
    """Every epoch's adapter is plain LoRA."""
    for version in run.result.versions:
        folder = run.place.root / version.folder
        assert (folder / "adapter_config.json").exists(), version.folder
        assert "conversion_loss" in version.metrics


@pytest.mark.parametrize("run", ["full"], indirect=True)
def test_full_checkpoint_is_a_model_of_its_own(run: Run) -> None:
    """Beside the extraction lies the whole model, which gives the trained log-probabilities."""
    version = run.result.versions[-1]
    assert version.full == "full"
    whole = logprobs(load_base(str(run.place.full), torch.float32))
    trained = logprobs(load_trained(run.plan, run.place, run.place.final))
    assert (whole - trained).abs().max() < CLOSE_NATS
    assert (run.place.full / "tokenizer.json").exists()


def test_too_lossy_a_conversion_fails(nano: Path, tmp_path: Path) -> None:
    """A conversion beyond the bound fails the job with a code of its own."""
    run = Run(nano, tmp_path / "run")
    run.prepare(
        {"technique": "full", "max_conversion_loss": 0.0, "train_embeddings": True},
        learning_rate=1e-2,
    )
    with pytest.raises(TrainingFailed, match="max_conversion_loss") as caught:
        run.train()
    assert caught.value.code == "conversion_loss"


def test_unknown_layers_are_refused(nano: Path, tmp_path: Path) -> None:
    """Layers that the base model does not have fail the job and are named."""
    run = Run(nano, tmp_path / "run")
    run.prepare({"target_modules": ["warp_drive"]})
    with pytest.raises(TrainingFailed, match="warp_drive") as caught:
        run.train()
    assert caught.value.code == "invalid_hyperparameters"


def test_the_head_is_refused(nano: Path, tmp_path: Path) -> None:
    """The engine adapts no head and no embedding, so neither is trained."""
    run = Run(nano, tmp_path / "run")
    run.prepare({"target_modules": ["embed_tokens"]})
    with pytest.raises(TrainingFailed, match="embed_tokens"):
        run.train()
