"""`python -m service`: hides what the process does without, and starts it.

It refuses to know the process: `service.process` has that.
"""

from registry.unneeded import hide

UNNEEDED = ("pygments", "watchfiles")
"""What Mako and uvicorn import wherever it is installed: colours, and restarts after an edit."""


def main() -> None:
    """Run the process until it is told to stop."""
    hide(*UNNEEDED)
    from service.process import run  # noqa: PLC0415 - what is hidden must be so before

    run()


if __name__ == "__main__":
    main()
