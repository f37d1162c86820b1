"""What a crash left of imports, and of copies from the artifact store.

It refuses to know what an import consists of.
"""

import logging
import shutil
import time
from pathlib import Path

from anyio import to_thread

from registry.artifact_store import PULLED, ArtifactStore
from registry.errors import StoreAway
from registry.identifiers import new_id
from registry.settings import Settings
from registry.store import Store

_ORPHAN_SECONDS = 3600
_STEM = "import-"

logger = logging.getLogger(__name__)


def staging_folder(settings: Settings) -> Path:
    """Return a new folder's path for an import, on the file system of its final place."""
    return settings.adapters_dir / f".{new_id('import')}.part"


async def sweep(settings: Settings, store: Store) -> int:
    """Delete folders of imports, an hour old or older, that no record names; copies likewise.

    Returns:
        How many were deleted.
    """
    # Found before the records are read: a record that is added meanwhile belongs to no old folder.
    oldest = time.time() - _ORPHAN_SECONDS
    is_cache = settings.artifacts_url is not None
    found = await to_thread.run_sync(_older_than, settings.adapters_dir, oldest, is_cache)
    artifacts = ArtifactStore(settings)
    there = await to_thread.run_sync(_imports_in, artifacts)
    known = set()
    if found or there:
        known = {version.directory for version in await store.adapters.present()}
    orphans = [path for path in found if path.name not in known]
    for path in orphans:
        await to_thread.run_sync(_remove, path)
    for directory in there:
        if directory not in known:
            await to_thread.run_sync(artifacts.delete_stale, directory, _ORPHAN_SECONDS)
    return len(orphans)


def _imports_in(artifacts: ArtifactStore) -> list[str]:
    try:
        return artifacts.in_bucket(_STEM)
    except StoreAway as exc:  # what nobody names harms nobody: the next start looks again
        logger.warning("imports without a record are not looked for: %s", exc)
        return []


def _older_than(adapters: Path, oldest: float, is_cache: bool) -> list[Path]:  # noqa: FBT001 - to_thread passes by position
    patterns = [f"{_STEM}*", f".{_STEM}*.part", PULLED, *(["ftjob-*"] if is_cache else [])]
    found = [path for pattern in patterns for path in adapters.glob(pattern)]
    return [path for path in found if _is_older(path, oldest)]


def _is_older(path: Path, oldest: float) -> bool:
    try:
        return path.stat().st_mtime < oldest
    except FileNotFoundError:  # its import ended, or another process swept it
        return False


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
