"""Where webhooks may go, and when they are sent again: the pure rules."""

from ipaddress import ip_address

import pytest

from registry.errors import Invalid
from service.webhooks.addresses import Reachable, is_public
from service.webhooks.backoff import LONGEST_SECONDS, next_attempt


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "172.16.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - compared, not bound
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_an_address_inside_is_not_public(address: str) -> None:
    """However it is written."""
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "64:ff9b::101:101"])
def test_an_address_outside_is_public(address: str) -> None:
    """IPv6 that stands for public IPv4 included."""
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "https://user:word@hooks.example/",
        "https:///path",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://hooks.example:99999/",
        "https://hooks.example/#part",
        "https://hooks .example/",
        "https://hooks.example/" + "x" * 2048,
        "",
    ],
)
def test_a_url_where_webhooks_may_not_go_is_refused(url: str) -> None:
    """Without a look-up; the error names the field."""
    with pytest.raises(Invalid) as refused:
        Reachable(plain_http=False, private=False).check(url)
    assert refused.value.param == "url"


def test_the_pause_grows_and_is_spread() -> None:
    """From half of its mean to one and a half, up to a limit."""

    def pause(tries: int, chance: float) -> float:
        at = next_attempt(tries=tries, created_at=0, now=0, chance=chance, retry_seconds=1e9)
        assert at is not None
        return at

    assert [pause(1, 0.0), pause(1, 0.5), pause(2, 0.5)] == [2.5, 5.0, 10.0]
    assert pause(1000, 0.5) == LONGEST_SECONDS


def test_a_reachable_place_may_be_allowed() -> None:
    """Plain HTTP and private addresses, each by its own setting."""
    Reachable(plain_http=True, private=True).check("http://127.0.0.1:8000/x")
    with pytest.raises(Invalid):
        Reachable(plain_http=True, private=False).check("http://127.0.0.1:8000/x")
    with pytest.raises(Invalid):
        Reachable(plain_http=False, private=True).check("http://127.0.0.1:8000/x")
