"""The library that evaluations do without, though `evaluate` and transformers import it.

It refuses to know what is evaluated; it is asked before either is imported.
"""

import logging
from importlib.metadata import entry_points

from registry.unneeded import hide

GROUP = "graftline.metrics"
"""The group of entry points that name metrics of the user's own."""
MODELS = "torch"
"""What loads models: half of the memory, though only tokenizers are used here."""


def hide_unneeded() -> None:
    """Let libraries believe that torch is not installed, unless a metric is: it may need it."""
    if not entry_points(group=GROUP):
        hide(MODELS)
        logging.getLogger("transformers").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a line tells more than that torch is hidden, which would alarm an operator."""
    return not record.getMessage().startswith("PyTorch was not found")
