"""Which vLLM servers there are."""

from collections.abc import Sequence

from registry.settings import Settings
from service.fleet.discovery import Discovery, discovery_of, resolve


class Names:
    """A name server whose answer can be changed."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: list[str] | None = list(addresses)

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        """Answer, or fail."""
        assert (host, port) == ("vllm.svc", 8000)
        if self.addresses is None:
            raise OSError("no answer")
        return self.addresses


async def test_every_address_of_a_name_is_a_replica() -> None:
    """Each once, version 6 in brackets."""
    names = Names("10.0.0.2", "10.0.0.1", "10.0.0.2", "fd00::1")
    discovery = Discovery((), "http://vllm.svc:8000", names.lookup)
    await discovery.refresh()
    assert discovery.urls == (
        "http://10.0.0.1:8000",
        "http://10.0.0.2:8000",
        "http://[fd00::1]:8000",
    )


async def test_a_lookup_follows_changes() -> None:
    """The next answer counts."""
    names = Names("10.0.0.1")
    discovery = Discovery((), "http://vllm.svc:8000", names.lookup)
    await discovery.refresh()
    names.addresses = ["10.0.0.9"]
    await discovery.refresh()
    assert discovery.urls == ("http://10.0.0.9:8000",)


async def test_a_failing_or_empty_lookup_keeps_the_last_answer() -> None:
    """A name server that is down takes no replica away."""
    names = Names("10.0.0.1")
    discovery = Discovery((), "http://vllm.svc:8000", names.lookup)
    await discovery.refresh()
    names.addresses = None
    await discovery.refresh()
    assert discovery.urls == ("http://10.0.0.1:8000",)
    names.addresses = []
    await discovery.refresh()
    assert discovery.urls == ("http://10.0.0.1:8000",)


async def test_a_list_is_not_looked_up() -> None:
    """It stays as it is."""
    discovery = discovery_of(Settings(engine_url="http://a:1,http://b:1"))
    await discovery.refresh()
    assert discovery.urls == ("http://a:1", "http://b:1")


async def test_the_systems_resolver_is_asked() -> None:
    """A name of this machine has this machine's addresses."""
    assert set(await resolve("localhost", 80)) & {"127.0.0.1", "::1"}
