"""What imports that a crash cut off left in the adapters' folder.

It refuses to know what an import consists of.
"""

import shutil
import time
from pathlib import Path

from anyio import to_thread

from registry.identifiers import new_id
from registry.settings import Settings
from registry.store import Store

_ORPHAN_SECONDS = 3600


def staging_folder(settings: Settings) -> Path:
    """Return a new folder's path for an import, on the file system of its final place."""
    return settings.adapters_dir / f".{new_id('import')}.part"


async def sweep(settings: Settings, store: Store) -> int:
    """Delete folders of imports, an hour old or older, that no record names.

    Returns:
        How many were deleted.
    """
    # Found before the records are read: a record that is added meanwhile belongs to no old folder.
    oldest = time.time() - _ORPHAN_SECONDS
    found = await to_thread.run_sync(_older_than, settings.adapters_dir, oldest)
    known = {version.directory for version in await store.adapters.present()} if found else set()
    orphans = [path for path in found if path.name not in known]
    for path in orphans:
        await to_thread.run_sync(_remove, path)
    return len(orphans)


def _older_than(adapters: Path, oldest: float) -> list[Path]:
    found = [*adapters.glob("import-*"), *adapters.glob(".import-*.part")]
    return [path for path in found if _is_older(path, oldest)]


def _is_older(path: Path, oldest: float) -> bool:
    try:
        return path.stat().st_mtime < oldest
    except FileNotFoundError:  # its import ended, or another process swept it
        return False


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
