"""Keys and routes in memory: what was read before a change never replaces what was read after."""

import asyncio

from registry.records import ApiKey
from service.auth import Keyring, hash_secret
from service.routing import RoutingTable
from service.snapshot import Snapshot
from tests.records import api_key


def snapshot(base: str) -> Snapshot:
    """Return a picture with nothing but a base model."""
    return Snapshot(base=base, versions={}, deployments={})


def key() -> ApiKey:
    """Return a key with the secret `secret`."""
    return api_key(secret_sha256=hash_secret("secret"))


class SlowFirst:
    """A store and a reader whose first answer is old and late."""

    def __init__(self) -> None:
        self.keys = self
        self.late = asyncio.Event()
        self.reads = 0

    async def read(self) -> bool:
        """Return whether this answer was read before the change."""
        self.reads += 1
        if self.reads > 1:
            return False
        await self.late.wait()
        return True

    async def valid(self) -> list[ApiKey]:
        """Return the key at first, and nothing once it was revoked."""
        return [key()] if await self.read() else []

    async def picture(self) -> Snapshot:
        """Return the old picture at first, the new one afterwards."""
        return snapshot("old" if await self.read() else "new")


async def test_a_late_read_does_not_bring_a_revoked_key_back() -> None:
    """The refresh after the revocation is the last word."""
    store = SlowFirst()
    keyring = Keyring(store)  # type: ignore[arg-type] # a fake of the one method it uses
    async with asyncio.TaskGroup() as group:
        group.create_task(keyring.refresh())
        await asyncio.sleep(0)
        after = group.create_task(keyring.refresh())
        await asyncio.sleep(0)
        store.late.set()
    assert after.done()
    assert keyring.find("secret") is None


async def test_a_late_read_does_not_bring_an_old_route_back() -> None:
    """The refresh after the change is the last word."""
    source = SlowFirst()
    table = RoutingTable(source.picture)
    async with asyncio.TaskGroup() as group:
        group.create_task(table.refresh())
        await asyncio.sleep(0)
        group.create_task(table.refresh())
        await asyncio.sleep(0)
        source.late.set()
    assert table.snapshot.base == "new"
