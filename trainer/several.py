"""A training child for each GPU: `python -m trainer.several <job folder> <parent> <processes>`.

It refuses to know how they share their work: torchrun brings them together.
"""

import os
import sys

from trainer.child import die_with


def main() -> None:
    """Become torchrun, which dies with the trainer as a child that is alone does."""
    folder, parent, processes = sys.argv[1:]
    die_with(int(parent))
    runner = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    # A child that torchrun starts dies with torchrun: its parent has the number 0 here.
    os.execv(sys.executable, [sys.executable, *runner, "-m", "trainer.child", folder, "0"])  # noqa: S606 - our own


if __name__ == "__main__":
    main()
