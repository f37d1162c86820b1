"""The first start: the first admin key and the key of the evals process, each made once.

It refuses to know the HTTP side. Several processes may start together, and each may die anywhere.
"""

import logging
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anyio import to_thread
from filelock import FileLock

from registry.durable import write_file
from registry.identifiers import new_id, new_secret
from registry.records import ANY_PROJECT, ApiKey, Scope
from registry.settings import Settings
from registry.store import Store
from service.auth import hash_secret

DEFAULT_PROJECT = "default"
"""The first project; its admin keys govern all projects."""
_FIRST_KEY = f"key-{0:024x}"
_SECRET_MODE = 0o600

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FirstStart:
    """What a start made."""

    admin_secret: str | None
    """The first admin key, when this start made it."""


async def bootstrap(settings: Settings, store: Store) -> FirstStart:
    """Make the keys that are missing, with their files.

    Raises:
        Unavailable: The database cannot be reached.
        StorageFull: No room for the key's file; nothing was made.
    """
    lock = FileLock(settings.data_dir / "bootstrap.lock", thread_local=False)
    await to_thread.run_sync(lock.acquire)
    try:
        made = await _make_admin_key(settings.admin_key_file, store)
        await _make_evals_key(settings.evals_key_file, store)
    finally:
        lock.release()
    return FirstStart(admin_secret=made)


def announce(first_start: FirstStart, settings: Settings) -> None:
    """Say where the admin key is; show the key itself when it was just made, and only then."""
    logger.info("the admin key is in %s", settings.admin_key_file)
    if first_start.admin_secret is not None:
        sys.stdout.write(f"Admin API key (shown once): {first_start.admin_secret}\n")
        sys.stdout.flush()


async def _make_admin_key(path: Path, store: Store) -> str | None:
    """Make the first key of all, if there is none.

    The file is written before the record. If the process dies in between, the next start finds the
    file, and makes the record for the secret in it.
    """
    if await store.keys.count():
        return None
    secret = _read(path)
    if secret is None:
        secret = new_secret()
        write_file(path, f"{secret}\n".encode(), mode=_SECRET_MODE)
    key = ApiKey(
        id=_FIRST_KEY,
        project=DEFAULT_PROJECT,
        name="first admin key",
        secret_sha256=hash_secret(secret),
        scopes=list(Scope),
        created_at=int(time.time()),
    )
    if await store.keys.add_first(key):
        return secret
    # Another machine on the same database was first.
    await to_thread.run_sync(partial(path.unlink, missing_ok=True))
    return None


async def _make_evals_key(path: Path, store: Store) -> None:
    """Make a key for this machine's evals process, unless the file holds a valid one."""
    now = time.time()
    keys = await store.keys.valid()
    valid = {key.secret_sha256 for key in keys if not key.is_expired(now)}
    secret = _read(path)
    if secret is not None and hash_secret(secret) in valid:
        return
    secret = new_secret()
    write_file(path, f"{secret}\n".encode(), mode=_SECRET_MODE)
    key = ApiKey(
        id=new_id("key"),
        project=ANY_PROJECT,
        name="evals",
        secret_sha256=hash_secret(secret),
        scopes=[Scope.INFERENCE],
        created_at=int(time.time()),
    )
    await store.keys.add(key)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None
