"""A training child for each GPU: `python -m trainer.several <job folder> <parent> <processes>`.

It refuses to know how they share their work: torchrun brings them together.
"""

import os
import signal
import sys
from collections.abc import Collection

from trainer.child import EXIT_OUT_OF_MEMORY, EXIT_STORAGE_FULL, die_with
from trainer.pulse import EXIT_UNHEARD


def main() -> None:
    """Run torchrun, and end as that of its processes whose end says most."""
    folder, parent, processes = sys.argv[1:]
    die_with(int(parent))
    # Imported here: it takes seconds, and the death of the parent must be looked after before.
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError  # noqa: PLC0415
    from torch.distributed.run import main as torchrun  # noqa: PLC0415

    runner = ["--standalone", "--nproc-per-node", processes]
    try:
        # A child that torchrun starts dies with torchrun: its parent has the number 0 here.
        torchrun([*runner, "-m", "trainer.child", folder, "0"])
    except ChildFailedError as exc:
        status = telling({failure.exitcode for failure in exc.failures.values()})
        if status < 0:
            os.kill(os.getpid(), -status)
        sys.exit(status)


def telling(statuses: Collection[int]) -> int:
    """Return the exit status that says why processes ended which end together; 1 if none does.

    Those that lost a peer, or were ended because of it, have others.
    """
    known = (EXIT_OUT_OF_MEMORY, EXIT_STORAGE_FULL, -signal.SIGKILL, EXIT_UNHEARD)
    return next((status for status in known if status in statuses), 1)


if __name__ == "__main__":
    main()
