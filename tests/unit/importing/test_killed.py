"""kill -9 of a process that imports, at every moment at which something becomes durable."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from registry.artifacts import verify
from registry.settings import Settings
from registry.store import Store, open_store
from service.importing import orphans
from tests.adapter_folders import write
from tests.database_template import prepare

ROOT = Path(__file__).parents[3]
HOURS_AGO = 7200
IMPORT = """
import asyncio, json, os, shutil, signal, sys
from pathlib import Path
from registry.settings import Settings
from registry.store import open_store
from service.importing.orphans import staging_folder
from service.importing.publication import Importer, Request

settings, folder = Settings(data_dir=Path(sys.argv[1])), Path(sys.argv[2])


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class DiesBeforeTheRecord:
    async def add_import(self, version, *, same_bytes):
        die()


async def publish(moment):
    store = await open_store(settings)
    if moment < 0:
        store.adapters = DiesBeforeTheRecord()
    staged = staging_folder(settings)
    shutil.copytree(folder, staged)
    wanted = Request(project="default", suffix="x", heldout_file=None)
    await Importer(settings, store).publish(staged, wanted)
    await store.close()


def dies_at(moment):
    # One child for each moment; each dies at its own call of fsync, if it comes to that one.
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    calls, fsync = iter(range(moment + 1)), os.fsync
    if moment >= 0:
        os.fsync = lambda descriptor: die() if next(calls) == moment else fsync(descriptor)
    asyncio.run(publish(moment))
    os._exit(0)


killed = [dies_at(-1)]
while killed[-1]:
    killed.append(dies_at(len(killed) - 1))
print(json.dumps(sum(killed)))
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return the settings of a data directory in which imports were killed, and one was not."""
    place = tmp_path_factory.mktemp("killed")
    prepare(place / "data")
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT, str(place / "data"), str(write(place / "lora"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) >= 8, "files, manifest, folders: each is made durable"
    return Settings(data_dir=place / "data")


@pytest.fixture
async def store(settings: Settings) -> Store:
    """Open the store that the killed ones left."""
    return await open_store(settings)


async def test_only_the_whole_import_is_visible(settings: Settings, store: Store) -> None:
    """Its files hold; nothing that was cut off has a record."""
    (version,) = await store.adapters.present()
    verify(settings.adapters_dir / version.directory)
    await store.close()


async def test_what_was_cut_off_goes_at_a_later_start(settings: Settings, store: Store) -> None:
    """An hour later: until then it may be an import that still goes on."""
    (version,) = await store.adapters.present()
    left = list(settings.adapters_dir.iterdir())
    assert await orphans.sweep(settings, store) == 0
    for path in left:
        then = path.stat().st_mtime - HOURS_AGO
        os.utime(path, (then, then))
    assert await orphans.sweep(settings, store) == len(left) - 1 >= 8
    assert [path.name for path in settings.adapters_dir.iterdir()] == [version.directory]
    verify(settings.adapters_dir / version.directory)
    await store.close()
