"""Pairs of answers: their tokens, the loss, and a run that learns which is better."""

from pathlib import Path

import msgspec
import pytest
import torch

from registry.chatdata import Row
from registry.errors import TrainingFailed
from registry.records import Record
from tests.fakes.char_tokenizer import CharTokenizer
from tests.unit.trainer.bench import Run, pairs, sums
from trainer.batches import NO_LOSS, Preference, tokenise
from trainer.preference import REWARDS, PreferenceLoss
from trainer.protocol import Progress
from trainer.validation import require_method

TURNS = [
    {"role": "user", "content": "a"},
    {"role": "assistant", "content": "earlier"},
    {"role": "user", "content": "c"},
]


def tokenised(row: Row, *, max_length: int = 999) -> list[Preference]:
    """Return rows as pairs of tokens."""
    found = tokenise(CharTokenizer(), [row, *pairs(1)], max_length=max_length).examples
    return [pair for pair in found if isinstance(pair, Preference)]


def learned(labels: list[int]) -> str:
    """Return the text of the tokens that carry loss, `$` for the end of a turn."""
    return "".join("$" if label == 0 else chr(label) for label in labels if label != NO_LOSS)


def pair_of(better: str, worse: str) -> Row:
    """Return a pair of answers in a conversation."""
    return Row(
        line=3,
        messages=[*TURNS, {"role": "assistant", "content": better}],
        rejected=[{"role": "assistant", "content": worse}],
    )


def test_only_the_two_answers_are_compared() -> None:
    """Both answers and their end-of-turn tokens carry loss; earlier answers carry none."""
    [pair, _] = tokenised(pair_of("good", "bad"))
    assert (learned(pair.labels), learned(pair.rejected.labels)) == ("good$", "bad$")


def test_a_pair_without_one_answer_is_left_out() -> None:
    """A pair of which one answer lies beyond the longest length is dropped and reported."""
    rows = [pair_of("x" * 90, "bad"), *pairs(1)]
    long = msgspec.structs.replace(rows[0], messages=[{"role": "user", "content": "q" * 200}] * 2)
    found = tokenise(CharTokenizer(), [long, *pairs(1)], max_length=80)
    assert len(found.examples) == 1
    assert "line 3" in found.notices[0].message


class Outputs(Record, frozen=True):
    """What a model returns."""

    logits: torch.Tensor
    """Shape (rows, positions, vocabulary)."""


def test_loss_is_the_published_formula() -> None:
    """The loss of two pairs is the mean of -log sigmoid of beta times the difference of ratios."""
    torch.manual_seed(0)
    logits, labels = torch.randn(4, 3, 5), torch.tensor([[1, 2, NO_LOSS]] * 4)
    reference = torch.tensor([[-1.0, -2.0], [-3.0, -1.5]])
    loss = PreferenceLoss(beta=0.3)
    loss.reference = reference
    logprobs = logits.log_softmax(-1)
    sums_ = logprobs[:, 0, 1] + logprobs[:, 1, 2]
    ratios = torch.stack([sums_[:2], sums_[2:]], 1) - reference
    margins = 0.3 * (ratios[:, 0] - ratios[:, 1])
    expected = -torch.log(torch.sigmoid(margins)).mean()
    assert loss(Outputs(logits=logits), labels).item() == pytest.approx(expected.item(), rel=1e-5)
    taken = loss.take()
    assert taken["accuracy"] == pytest.approx((margins > 0).double().mean().item())
    assert taken["reward_margin"] == pytest.approx(margins.mean().item(), rel=1e-4)


def test_an_untrained_pair_costs_log_two() -> None:
    """A policy that is its reference prefers nothing: the loss is log 2, the margin 0."""
    logits, labels = torch.zeros(2, 1, 4), torch.tensor([[1], [2]])
    loss = PreferenceLoss(beta=0.1)
    loss.reference = torch.full((1, 2), -1.3862944)
    assert loss(Outputs(logits=logits), labels).item() == pytest.approx(0.6931, abs=1e-4)


@pytest.fixture(scope="module")
def run(nano: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run on pairs."""
    made = Run(nano, tmp_path_factory.mktemp("dpo") / "run")
    made.prepare(
        {}, method="dpo", rows=pairs(16), n_epochs=6, learning_rate=3e-2, lora_rank=16, beta=1.0
    )
    made.train()
    return made


def test_a_run_on_pairs_learns_the_preference(run: Run) -> None:
    """The loss falls from log 2, and held-out pairs come into the right order."""
    assert run.result.history[0].train_loss == pytest.approx(0.693, abs=0.03)
    metrics = run.result.versions[-1].metrics
    assert metrics["full_valid_loss"] < 0.5
    assert metrics["full_valid_reward_accuracy"] == 1.0


def test_progress_tells_rewards(run: Run) -> None:
    """Metrics of a run on pairs are rewards, not the accuracy of tokens."""
    progress = [message for message in run.messages if isinstance(message, Progress)]
    told = progress[-1].metrics
    assert {f"train_{name}" for name in REWARDS} < set(told)
    assert told["train_reward_margin"] > 0
    assert "train_mean_token_accuracy" not in told


def test_full_fine_tuning_learns_pairs_too(nano: Path, tmp_path: Path) -> None:
    """The reference is asked before the first step, so no second model is needed."""
    made = Run(nano, tmp_path / "run")
    made.prepare(
        {"technique": "full"}, method="dpo", rows=pairs(16), learning_rate=1e-2, lora_rank=16
    )
    made.train()
    assert made.result.versions[-1].metrics["full_valid_loss"] < 0.69


@pytest.mark.parametrize(
    ("rows", "method", "words"),
    [(sums(2), "dpo", "no pair"), (pairs(2), "supervised", "two outputs")],
)
def test_rows_of_the_other_method_are_refused(rows: list[Row], method: str, words: str) -> None:
    """A file whose rows do not suit the method fails the job and names lines and remedy."""
    with pytest.raises(TrainingFailed, match=words) as caught:
        require_method(rows, method, "training")
    assert caught.value.code == "invalid_training_file"
    assert "lines 1, 2" in caught.value.message
