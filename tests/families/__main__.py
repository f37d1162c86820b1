"""`make families`: every model family through the real vLLM, or those that are named, as a table.

It refuses to stop at the first that fails; it ends with status 1 if any did.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from registry.lifecycle import AdapterStatus
from tests.families.bases import FAMILIES
from tests.families.examination import examine

_ROW = "{:<10} {:<9} {:>8} {:>10} {:>6}  {}\n"
_WORDS = 400


def main() -> None:
    """Examine the families and print what was seen."""
    wanted = sys.argv[1:] or list(FAMILIES)
    sys.stdout.write(_ROW.format("family", "status", "effect", "difference", "s", "what else"))
    failed = [family for family in wanted if not _show(family)]
    sys.exit(f"Not served: {', '.join(failed)}" if failed else 0)


def _show(family: str) -> bool:
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = asyncio.run(examine(family, Path(folder)))
        except Exception as exc:  # noqa: BLE001 - one family's edge: the others are examined too
            line = (family, "failed", "-", "-", _since(started), str(exc)[-_WORDS:])
            sys.stdout.write(_ROW.format(*line))
            return False
    version, probe = seen.version, seen.version.probe or {}
    figures = [f"{probe[name]:.3g}" if name in probe else "-" for name in _FIGURES]
    leaves = sorted({target.rpartition(".")[2] for target in seen.targets})
    told = version.reason or f"targets: {', '.join(leaves)}"
    sys.stdout.write(_ROW.format(family, version.status, *figures, _since(started), told))
    sys.stdout.flush()
    return version.status is AdapterStatus.READY


_FIGURES = ("effect_nats", "difference_nats")


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.0f}"


if __name__ == "__main__":
    main()
