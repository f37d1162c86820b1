"""Libraries that a process does without, though others import them wherever they are installed.

It refuses to know which: each process says so before it imports anything heavy.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Without(PathFinder):
    """Python's own search of the path, which does not find what is hidden.

    `None` in `sys.modules` would say the same to importers, but scipy takes what stands there under
    torch's name for torch.
    """

    hidden: frozenset[str] = frozenset()

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return where a module is; none where it is hidden."""
        return None if fullname in cls.hidden else super().find_spec(fullname, path, target)


def hide(*names: str) -> None:
    """Let libraries believe that modules are not installed, until this process ends.

    Only for a process that does nothing else. A module that was imported already stays.
    """
    _Without.hidden |= frozenset(names)
    sys.meta_path[:] = [_Without if each is PathFinder else each for each in sys.meta_path]
