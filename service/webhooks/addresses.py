"""Where webhooks may go: the rule for URLs, and for the addresses that their names have.

It refuses to know what is sent. A name is looked up when a connection is opened, and the address
that was checked is the one that is used: a name that changes its address in between gains nothing.
"""

import errno
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from aiohttp import ThreadedResolver
from aiohttp.abc import AbstractResolver, ResolveResult

from registry.errors import Invalid

_LONGEST_URL = 2048
_NAT64 = IPv6Network("64:ff9b::/96")
_PARAM = "url"


class AddressRefused(OSError):
    """A name leads to addresses where webhooks may not go."""


@dataclass(frozen=True, kw_only=True)
class Reachable:
    """Where webhooks may go."""

    plain_http: bool
    """Whether URLs with `http://` are taken."""
    private: bool
    """Whether addresses that are not public are."""

    def check(self, url: str) -> None:
        """Check a URL, without looking up its name.

        Raises:
            Invalid: Webhooks may not go there, or it is no URL.
        """
        if len(url) > _LONGEST_URL or not url.isprintable() or " " in url:
            message = f"'url' must be a URL of at most {_LONGEST_URL} characters."
            raise Invalid(message, _PARAM)
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as exc:
            raise Invalid(f"'url' cannot be read: {exc}.", _PARAM) from exc
        self._check_scheme(parts.scheme)
        if not host or parts.username is not None or parts.password is not None or parts.fragment:
            raise Invalid(
                "'url' must read https://HOST/PATH, without a user, a password or a fragment. "
                "Deliveries are signed; they need no password.",
                _PARAM,
            )
        self._check_host(host)

    def allows(self, address: str) -> bool:
        """Return whether webhooks may go to an address, as a text of digits."""
        return self.private or is_public(ip_address(address.partition("%")[0]))

    def _check_scheme(self, scheme: str) -> None:
        if scheme == "http" and not self.plain_http:
            raise Invalid(
                "'url' must begin with https://. To allow http:// set "
                "GRAFTLINE_WEBHOOK_PLAIN_HTTP=true.",
                _PARAM,
            )
        if scheme not in {"http", "https"}:
            raise Invalid("'url' must begin with https://.", _PARAM)

    def _check_host(self, host: str) -> None:
        try:
            refused = not self.allows(host)
        except ValueError:  # a name
            refused = not self.private and (host == "localhost" or host.endswith(".localhost"))
        if refused:
            raise Invalid(
                f"'url' leads to '{host}', which is not a public address. To allow such addresses "
                "set GRAFTLINE_WEBHOOK_PRIVATE_ADDRESSES=true.",
                _PARAM,
            )


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether an address belongs to the public internet.

    An IPv6 address that stands for an IPv4 one is as public as that.
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


class CheckedResolver(AbstractResolver):
    """Looks names up, and leaves out the addresses where webhooks may not go."""

    def __init__(self, reachable: Reachable, inner: AbstractResolver | None = None) -> None:
        self._reachable = reachable
        self._inner = inner or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            AddressRefused: All of them are refused.
            OSError: It has none.
        """
        found = await self._inner.resolve(host, port, family)
        allowed = [each for each in found if self._reachable.allows(each["host"])]
        if not allowed:
            raise AddressRefused(errno.EPERM, f"'{host}' leads to no public address")
        return allowed

    async def close(self) -> None:
        """Release the resolver."""
        await self._inner.close()
