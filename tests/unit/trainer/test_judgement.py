"""How a run is judged by its losses."""

from typing import Any

from trainer.judgement import (
    Epoch,
    begins_to_overfit,
    best,
    epochs_of,
    has_diverged,
    is_exhausted,
    overfits,
)


def epochs(*losses: tuple[float, float]) -> list[Epoch]:
    """Return epochs of five steps with training and validation losses."""
    return [
        Epoch(step=5 * number, train_loss=train, valid_loss=valid)
        for number, (train, valid) in enumerate(losses, start=1)
    ]


def test_epochs_are_read_from_the_log() -> None:
    """An epoch has the mean of its training losses and the validation loss at its end."""
    log: list[dict[str, Any]] = [
        {"step": 1, "loss": 4.0},
        {"step": 1, "valid_loss": 9.0},
        {"step": 2, "valid_loss": 2.0},
        {"step": 2, "loss": 2.0},
        {"step": 3, "loss": 1.0},
        {"step": 4, "valid_loss": 1.5},
    ]
    assert epochs_of(log, steps_per_epoch=2) == [
        Epoch(step=2, train_loss=3.0, valid_loss=2.0),
        Epoch(step=4, train_loss=1.0, valid_loss=1.5),
    ]


def test_the_lowest_validation_loss_is_best() -> None:
    """Of equals the first wins, and without epochs there is none."""
    found = best(epochs((3, 2.0), (2, 1.0), (1, 1.0)))
    assert found is not None
    assert found.step == 10
    assert best([]) is None


def test_patience_counts_epochs_without_a_lower_loss() -> None:
    """A run ends after so many epochs that brought no lower validation loss."""
    run = epochs((3, 2.0), (2, 1.0), (2, 1.1), (2, 1.2))
    ends = [is_exhausted(run, patience) for patience in (None, 1, 2, 3)]
    assert ends == [False, True, True, False]


def test_overfitting_is_told_once() -> None:
    """The warning comes at the first epoch at whose end the losses part for the second time."""
    run = epochs((3, 1.0), (2, 1.1), (1.5, 1.2), (1, 1.3))
    assert [begins_to_overfit(run[:count]) for count in range(5)] == [
        False,
        False,
        False,
        True,
        False,
    ]


def test_a_training_loss_that_rises_too_is_no_overfitting() -> None:
    """A run that gets worse on both sides is another trouble."""
    assert not overfits(epochs((1, 1.0), (2, 1.1), (3, 1.2)))


def test_a_loss_far_above_the_first_ones_has_diverged() -> None:
    """Ten losses in a row far above the first five are no accident, nine are."""
    log = [{"step": n, "loss": 2.0} for n in range(5)] + [
        {"step": n, "loss": 9.0} for n in range(9)
    ]
    assert not has_diverged(log)
    assert has_diverged([*log, {"step": 14, "loss": 9.0}])
