"""A migrated, empty SQLite database, made once and copied for each test that needs one.

It refuses to know what is stored. The migrations themselves have tests of their own.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from registry.settings import Settings
from registry.store import open_store


def prepare(data_dir: Path) -> None:
    """Put an empty database of the newest schema into a data directory."""
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = data_dir / "graftline.db"
    if not file.exists():
        file.write_bytes(_template())


@cache
def _template() -> bytes:
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _migrate(Path(folder))).result()
        return (Path(folder) / "graftline.db").read_bytes()


async def _migrate(data_dir: Path) -> None:
    await (await open_store(Settings(data_dir=data_dir))).close()
