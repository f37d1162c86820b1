"""The result file."""

from trainer.protocol import HistoryRow
from trainer.results import as_csv


def test_unmeasured_figures_are_empty_cells() -> None:
    """The CSV has OpenAI's columns, and a figure that was not measured is an empty cell."""
    history = [
        HistoryRow(step=1, train_loss=1.5, train_accuracy=0.25),
        HistoryRow(
            step=2,
            train_loss=1.0,
            train_accuracy=0.5,
            valid_loss=0.75,
            valid_mean_token_accuracy=0.625,
        ),
    ]
    assert as_csv(history).decode() == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
        "1,1.50000,0.25000,,\n"
        "2,1.00000,0.50000,0.75000,0.62500\n"
    )
