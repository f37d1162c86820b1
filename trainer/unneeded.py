"""The libraries that a training does without, though others import them where they are installed.

It refuses to know what is trained; it is asked before anything heavy is imported.
"""

from registry.training_options import Technique
from registry.unneeded import hide

QUANTISATION = ("bitsandbytes",)
"""What PEFT imports as soon as it makes a LoRA layer; only 4 bits need it."""
OTHER_TASKS = ("sklearn", "scipy")
"""What transformers imports with its generation, for speculative decoding, and with its losses, for
the detection of objects; a training does neither."""


def hide_unneeded(technique: Technique) -> None:
    """Let libraries believe that what a technique does without is not installed.

    Call it before anything is imported, in a process that does nothing else. A library that was
    imported already stays.
    """
    hide(*OTHER_TASKS)
    if technique is not Technique.QLORA:
        hide(*QUANTISATION)
