"""The service's own source of random numbers: a split, a sample, a pause, the name of a request.

It refuses secrets (those are of `secrets`), and to share its state: who seeds Python's `random`, as
libraries for training and testing do, neither repeats our draws nor sees them.
"""

import random
from typing import Final

DICE: Final = random.Random()  # noqa: S311 - no secrets
"""Seeded by the operating system when a process starts."""
