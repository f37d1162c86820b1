"""Shows a job's figures elsewhere too: Weights & Biases, MLflow, TensorBoard.

It refuses to know how a job is trained, and never delays or fails one: each target has a thread of
its own, in the trainer itself. The training child, which has no secret, knows none of them.
"""

from trainer.reporting.reports import Reporting, Reports

__all__ = ["Reporting", "Reports"]
