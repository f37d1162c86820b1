"""Addresses of servers and buckets in settings: checked before anything connects.

It refuses to know what is there.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit


def trimmed(url: str) -> str:
    """Return an address without spaces around it and slashes behind it."""
    return url.strip().rstrip("/")


def check_urls(variable: str, urls: Sequence[str], schemes: Sequence[str]) -> None:
    """Check that each address is one of a server, and that none stands twice.

    Raises:
        ValueError: One is not; the variable and the remedy are named.
    """
    for url in urls:
        if urlsplit(url).username is not None:
            raise ValueError(
                f"{variable} holds a user name; put vLLM's key into GRAFTLINE_ENGINE_KEY"
            )
        if not is_server(url, schemes):
            allowed = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ValueError(
                f"{variable}: '{url}' is no address of a server; write {allowed}HOST:PORT, "
                "without a path"
            )
    if len({urlsplit(url).netloc for url in urls}) < len(urls):
        raise ValueError(f"{variable} names one server twice; name each once")


def check_bucket(url: str | None, endpoint: str | None) -> None:
    """Check the address of a bucket and of the server that it lies on.

    Raises:
        ValueError: One cannot be used; the variable and the remedy are named.
    """
    for variable, value in (("URL", url), ("ENDPOINT", endpoint)):
        if value is not None and urlsplit(value).username is not None:
            raise ValueError(
                f"GRAFTLINE_ARTIFACTS_{variable} holds a user name; put credentials into "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
    if endpoint is not None and not is_server(endpoint, ("http", "https")):
        raise ValueError(
            f"GRAFTLINE_ARTIFACTS_ENDPOINT: '{endpoint}' is no address of a server; write "
            "https://HOST:PORT, without a path"
        )
    if url is not None and not _is_bucket(url):
        raise ValueError(
            f"GRAFTLINE_ARTIFACTS_URL: '{url}' is no address of a bucket; write "
            "s3://BUCKET or s3://BUCKET/PREFIX"
        )


def _is_bucket(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "s3" and bool(parts.netloc) and not (parts.query or parts.fragment)


def is_server(url: str, schemes: Sequence[str]) -> bool:
    """Return whether an address has a host, one of some schemes, and no path."""
    parts = urlsplit(url)
    try:
        has_port = parts.port != 0
    except ValueError:  # beyond the highest port, or no number
        return False
    rest = parts.path or parts.query or parts.fragment
    return has_port and parts.scheme in schemes and bool(parts.hostname) and not rest
