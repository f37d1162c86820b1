"""Where clients arrive: the sockets that the server listens on.

It refuses to know HTTP. libuv takes one new connection from a descriptor each time it looks, and it
looks once for all that the connections it has sent meanwhile. When 128 clients came at once, each
asking again as soon as it was answered, the last of them waited a second and more to be taken.
Several descriptors of one socket are looked at in the same go, and so many clients are taken.
"""

import socket

import uvicorn

TAKEN_AT_ONCE = 16
"""New connections taken each time the server looks; each costs a microsecond at every arrival."""
_NOT_STARTED = 3


def serve(config: uvicorn.Config) -> None:
    """Run the server until a signal ends it.

    Raises:
        SystemExit: The address cannot be had, or the application did not start.
    """
    server = uvicorn.Server(config)
    server.run(arrivals(config.host, config.port))
    if not server.started:
        raise SystemExit(_NOT_STARTED)


def arrivals(host: str, port: int) -> list[socket.socket]:
    """Return sockets bound to every address of a host, each as several descriptors.

    They do not listen yet: until the application has started, clients are refused.

    Raises:
        SystemExit: There is no such address, or it is taken; the message says which.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        bound = [_bound(family, address) for family, _, _, _, address in dict.fromkeys(found)]
    except OSError as exc:
        what = (exc.strerror or str(exc)).lower()
        remedy = "Check GRAFTLINE_HOST and GRAFTLINE_PORT, and what else listens there."
        raise SystemExit(f"Cannot listen on {host}, port {port}: {what}. {remedy}") from exc
    return [each for first in bound for each in (first, *_copies(first))]


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _copies(listener: socket.socket) -> list[socket.socket]:
    return [listener.dup() for _ in range(TAKEN_AT_ONCE - 1)]
