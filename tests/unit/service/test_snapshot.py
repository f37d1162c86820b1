"""The picture that routing decides against: always new, read only where it changed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr
from sqlalchemy import update

from registry.errors import Conflict, InUse
from registry.lifecycle import AdapterStatus
from registry.settings import Settings
from registry.store import Store, open_store, tables
from service.promotion import Reason, change_of, next_generation
from service.snapshot import FULL_READ_SECONDS, SnapshotReader
from tests.postgres import temporary_database
from tests.records import deployment
from tests.service_api import add_version

BASE = "tiny-base"
Change = Callable[[Store], Awaitable[object]]


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Open a real store with two versions and a deployment, on each database in turn."""
    if request.param == "sqlite":
        opened = await open_store(Settings(data_dir=tmp_path))
        await _fill(opened)
        yield opened
        await opened.close()
        return
    with temporary_database() as url:
        opened = await open_store(Settings(data_dir=tmp_path, database_url=SecretStr(url)))
        await _fill(opened)
        yield opened
        await opened.close()


async def _fill(store: Store) -> None:
    for _ in range(2):
        await add_version(store)
    await _add(store)


async def _add(store: Store, name: str = "support") -> None:
    made = deployment(name)
    await store.deployments.add(made, change_of(made, "create", actor="k", reason=Reason(None)))


async def _change(store: Store) -> None:
    present = await store.deployments.get("support", project="default")
    following = msgspec.structs.replace(next_generation(present, 2), shadow_share=0.5)
    line = change_of(following, "update", actor="k", reason=Reason(None))
    await store.deployments.replace(following, line)


async def _delete(store: Store) -> None:
    present = next_generation(await store.deployments.get("support", project="default"), 2)
    line = change_of(present, "delete", actor="k", reason=Reason(None))
    await store.deployments.delete("support", line)


async def _make_again(store: Store) -> None:
    await _delete(store)
    await _add(store, "another")


async def _retire(store: Store) -> None:
    first = (await store.adapters.present())[0]
    await store.adapters.retire(first.name, project="default")


async def _pin(store: Store) -> None:
    async with store.database.write() as connection:
        await connection.execute(update(tables.adapters).values(pinned=True))


async def _swap(store: Store) -> None:
    """Move one version forward and publish another: as many are ready as before."""
    await _retire(store)
    await add_version(store)


async def _publish(store: Store) -> None:
    await add_version(store, status=AdapterStatus.PUBLISHED)


CHANGES = [_publish, _change, _delete, _make_again, _retire, _pin, _swap]


@pytest.mark.parametrize("change", CHANGES)
async def test_every_change_is_seen(store: Store, change: Change) -> None:
    """The next picture is what the store holds."""
    reader = SnapshotReader(store, BASE)
    before = await reader()
    await change(store)
    after = await reader()
    assert after is not before
    assert list(after.versions.values()) == await store.adapters.present()
    assert list(after.deployments.values()) == await store.deployments.of(None)


async def test_without_a_change_nothing_is_read(store: Store) -> None:
    """The picture stays the same object."""
    reader = SnapshotReader(store, BASE)
    assert await reader() is await reader()


async def test_versions_are_not_read_for_a_deployments_sake(store: Store) -> None:
    """With a thousand of them, a promotion costs what its own row costs."""
    first = await store.catalogue.read()
    await _change(store)
    second = await store.catalogue.read(first)
    assert second.versions is first.versions
    assert second.deployments != first.deployments


async def test_now_and_then_every_row_is_read(store: Store) -> None:
    """Whatever the stamp says: what it does not cover is late, not lost."""
    now = 0.0
    reader = SnapshotReader(store, BASE, clock=lambda: now)
    await reader()
    async with store.database.write() as connection:
        await connection.execute(update(tables.adapters).values(reason="by hand"))
    now = FULL_READ_SECONDS
    assert {version.reason for version in (await reader()).versions.values()} == {"by hand"}


async def test_stamp_and_rows_are_of_one_moment(store: Store) -> None:
    """A change between two statements of the reading is seen by none of them."""
    async with store.database.read_as_one() as connection:
        before = (await connection.execute(tables.deployments.select())).all()
        await _change(store)
        assert (await connection.execute(tables.deployments.select())).all() == before


async def _point(store: Store, **names: str) -> None:
    present = await store.deployments.get("support", project="default")
    following = msgspec.structs.replace(next_generation(present, 2), **names)
    line = change_of(following, "update", actor="k", reason=Reason(None))
    await store.deployments.replace(following, line)


async def test_what_only_a_shadow_names_is_deployed(store: Store) -> None:
    """It is wanted after what users meet."""
    shadow, candidate = await store.adapters.present()
    await _point(store, candidate=candidate.name, shadow=shadow.name)
    deployed = (await SnapshotReader(store, BASE)()).deployed()
    assert [version.name for version in deployed] == [candidate.name, shadow.name]


async def test_a_shadow_cannot_be_retired(store: Store) -> None:
    """While a deployment points at it."""
    shadow = (await store.adapters.present())[0]
    await _point(store, shadow=shadow.name)
    with pytest.raises(InUse):
        await store.adapters.retire(shadow.name, project="default")


async def test_a_retired_version_becomes_no_shadow(store: Store) -> None:
    """However the two requests met."""
    shadow = (await store.adapters.present())[0]
    await _retire(store)
    with pytest.raises(Conflict):
        await _point(store, shadow=shadow.name)
