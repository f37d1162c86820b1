"""`python -m evals`: hides what the process does without, and starts it.

It refuses to know the process: `evals.process` has that.
"""

import sys

from evals.unneeded import hide_unneeded


def main() -> int:
    """Run the process; return its exit code."""
    hide_unneeded()
    from evals.process import run  # noqa: PLC0415 - what is hidden must be so before

    return run()


if __name__ == "__main__":
    sys.exit(main())
